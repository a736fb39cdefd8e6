"""What a model's loss is, on which inputs: outputs as a function of chosen parameters, and a loss.

Causal models predict each window's next tokens; masked ones a seeded 15 % of the tokens, replaced
by the mask token; classifiers the label of each text. A chain has what it is given.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from analysis.networks.blocks import Block
from analysis.networks.errors import BadInput, NotRunnable
from analysis.networks.inputs import Inputs
from analysis.networks.labelled import is_table
from analysis.networks.opened import OpenedModel
from analysis.networks.transformer import task_of
from analysis.numerics.hessian.full_precision import FullPrecision
from analysis.numerics.hessian.losses import CrossEntropy, Loss
from analysis.numerics.hessian.products import HessianProducts
from analysis.weights.source import Source

MASKED = 0.15  # of the tokens, https://arxiv.org/abs/1810.04805


@dataclass(frozen=True, eq=False)
class Objective:
    """A loss of a network's outputs on given inputs."""

    network: nn.Module
    arguments: Mapping[str, Tensor]
    outputs: Callable[[Any], Tensor]  # of what the network returns, (n, K)
    loss: Loss
    words: str  # "4 windows of 64 tokens, 252 predictions"

    def products(self, blocks: Sequence[Block]) -> HessianProducts:
        """Return products with the Hessian with respect to the entries of some blocks."""
        leaves = [block.values.detach().clone().requires_grad_(True) for block in blocks]
        replaced: dict[str, Tensor] = {}
        for block, leaf in zip(blocks, leaves, strict=True):
            whole = replaced.setdefault(block.name, block.parameter.detach().clone())
            whole[block.index] = leaf
        self.network.requires_grad_(False)  # nothing before the blocks needs a backward pass
        f = self.outputs(self._run(replaced))
        return HessianProducts(f, leaves, self.loss)

    def _run(self, replaced: dict[str, Tensor]) -> Any:
        wide = next(self.network.parameters()).dtype == torch.float64
        arguments = dict(self.arguments)
        if not wide:
            return functional_call(self.network, replaced, (), arguments)
        with FullPrecision():
            return functional_call(self.network, replaced, (), arguments)


def check_task(source: Source, text: str | None) -> None:
    """Raise NotRunnable for a transformers model without a loss, BadInput without labels."""
    task = task_of(source)
    if task == "encoder":
        raise NotRunnable(
            f"{source.name} has no head, so it has no loss to differentiate: give a model with a "
            "language-model or a classifier head"
        )
    if task == "classifier" and not is_table(text or ""):
        raise BadInput(
            f"{source.name} is a classifier, and no labels are given: name a .csv, .tsv or .jsonl "
            "file with the columns text and label as the text"
        )
    if task == "classifier" and not _has_classes(source):
        raise NotRunnable(
            f"{source.name} gives no choice among classes (it has one output, or is no classifier "
            "of one label a text), so it has no cross-entropy: give a classifier of two classes or "
            "more"
        )


def _has_classes(source: Source) -> bool:
    """Say whether the configuration is that of a choice of one class among several."""
    config = source.run.config
    outputs = config.get("num_labels") or len(config.get("id2label") or "ab")
    return outputs > 1 and config.get("problem_type") in (None, "single_label_classification")


def of_text(
    model: OpenedModel, network: nn.Module, inputs: Inputs, size: tuple[int, int], seed: int
) -> Objective:
    """Return the mean cross-entropy of a transformers model on `size` = (windows, tokens) of text.

    Raises BadInput where the text does not do, NotRunnable where the model has no loss.
    """
    check_task(model.source, inputs.text)
    if model.task == "classifier":
        return _classes(model, network, inputs, size)
    ids = inputs.windows(*size).to(model.device)
    words = f"{size[0]} windows of {size[1]} tokens"
    if model.task == "masked":
        return _masked(model, network, ids, words, seed)
    if size[1] < 2:
        raise BadInput("windows of 1 token predict nothing: ask for at least 2 tokens")
    targets = ids[:, 1:].reshape(-1)
    return Objective(
        network, {"input_ids": ids}, lambda out: out.logits[:, :-1].flatten(0, 1),
        CrossEntropy(targets), f"{words}, {len(targets)} predictions",
    )  # fmt: skip


def _masked(
    model: OpenedModel, network: nn.Module, ids: Tensor, words: str, seed: int
) -> Objective:
    tokenizer = model.tokenizer()
    if tokenizer.mask_token_id is None:
        raise NotRunnable(
            f"the tokenizer of {model.name} has no mask token, which its loss needs: "
            "add one to tokenizer_config.json"
        )
    drawn = torch.rand(ids.shape, generator=torch.Generator().manual_seed(seed)).to(ids.device)
    special = torch.isin(ids, torch.tensor(tokenizer.all_special_ids, device=ids.device))
    chosen = (drawn < MASKED) & ~special
    if not chosen.any():
        raise BadInput(f"none of {words} is masked: ask for more or longer windows")
    return Objective(
        network, {"input_ids": ids.masked_fill(chosen, tokenizer.mask_token_id)},
        lambda out: out.logits[chosen],
        CrossEntropy(ids[chosen]), f"{words}, {int(chosen.sum())} masked and predicted",
    )  # fmt: skip


def _classes(
    model: OpenedModel, network: nn.Module, inputs: Inputs, size: tuple[int, int]
) -> Objective:
    found = inputs.labelled(*size)
    config: Any = network.config
    if config.pad_token_id is None:  # or the network could not tell where each text ends
        config.pad_token_id = model.tokenizer().pad_token_id
    arguments = {
        "input_ids": found.ids.to(model.device),
        "attention_mask": found.mask.to(model.device),
    }
    labels = found.labels.to(model.device)
    words = f"{size[0]} labelled texts of up to {size[1]} tokens"
    return Objective(network, arguments, lambda out: out.logits, CrossEntropy(labels), words)
