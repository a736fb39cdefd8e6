"""One number for how good a model is, with all that is needed to compare it with another's."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import nn

from analysis.evaluate import choice, similarity
from analysis.evaluate.difference import loss_difference, order_difference
from analysis.evaluate.nats import MASKED_SHARE, Nats, mask, next_tokens, score
from analysis.evaluate.non_finite import layers_named
from analysis.evaluate.protocol import Protocol, Windows, windows
from analysis.networks.errors import BadInput, NotRunnable
from analysis.networks.opened import OpenedModel
from analysis.registry import Quiet, Report
from analysis.weights.source import Source

Metric = Literal["loss", "spearman"]
LISTS = ("parts", "counts", "gold", "warnings")
SPECIAL = ("cls_token_id", "sep_token_id", "pad_token_id", "bos_token_id", "eos_token_id")


@dataclass(frozen=True)
class Settings:
    """What a model is measured on; `text` None is the bundled held-out text."""

    text: str | None = None
    preset: str = "stream"
    window: int | None = None  # tokens; None: 256 or all positions
    windows: int = 64  # 0: all
    first: bool = False
    seed: int = 0
    choice: str | None = None  # .jsonl of questions, for causal models, beside the loss
    pairs: str | None = None  # sentence pairs, for encoders, instead of a text

    @property
    def protocol(self) -> Protocol:
        """How the text is read."""
        return Protocol(self.preset, self.window, self.windows, self.first, self.seed)


@dataclass(frozen=True)
class Evaluation:
    """What was measured; `parts` and `counts` are in the order of the text, or of the pairs."""

    metric: Metric
    score: float  # nats per token (less is better), or Spearman's ρ (more is better)
    protocol: str  # one sentence
    text_sha256: str
    evaluated_on: str
    parts: tuple[float, ...]  # nats of each window, or the cosine of each pair
    counts: tuple[int, ...] = ()  # scored tokens of each window
    gold: tuple[float, ...] = ()  # the score of each pair, by people
    perplexity: float | None = None
    bits_per_byte: float | None = None
    accuracy: float | None = None  # of predicted tokens
    choice_accuracy: float | None = None  # by the sum of log-likelihoods
    choice_normalised: float | None = None  # by that sum per byte of the choice
    choice_count: int = 0
    warnings: tuple[str, ...] = ()  # of the text, one sentence each

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return what `to_dict` wrote."""
        lists = {name: tuple(data.get(name, ())) for name in LISTS}
        return cls(**data | lists)


def evaluate(
    opened: OpenedModel, network: nn.Module, settings: Settings, report: Report | None = None
) -> Evaluation:
    """Measure a network made from an opened model: its loss on a text, or ρ on sentence pairs.

    Every batch counts. Raises NonFiniteLayer naming the layer from which a value that is not finite
    comes, BadInput and NotRunnable for what the settings ask and the model cannot.
    """
    report = report or Quiet()
    _fits(opened, settings)
    with layers_named(opened):
        if settings.pairs:
            return _by_pairs(opened, network, settings.pairs, report)
        found = windows(opened, settings.text, settings.protocol)
        if opened.task == "masked":
            return _masked(opened, network, found, settings.seed, report)
        return _causal(opened, network, found, settings.choice, report)


def check(source: Source, settings: Settings) -> None:
    """Raise what `evaluate` would raise of a model and settings, before weights are loaded."""
    opened = OpenedModel(source)
    _fits(opened, settings)
    if settings.pairs:
        opened.tokenizer()
        similarity.read(settings.pairs)
        return
    found = windows(opened, settings.text, settings.protocol)
    if opened.task == "masked":
        _hidden(opened, found, settings.seed)
    if settings.choice:
        choice.encoded(opened, choice.read(settings.choice))


def difference(trial: Evaluation, dense: Evaluation, seed: int = 0) -> tuple[float, float, float]:
    """Return how much worse the trial is, and the ends of its paired 95 % interval.

    Nats per token more, or Spearman's ρ less. Raises ValueError for evaluations of different
    windows or pairs.
    """
    for name in ("metric", "text_sha256", "protocol", "counts", "gold"):
        if getattr(trial, name) != getattr(dense, name):
            raise ValueError(
                f"expected evaluations of the same windows, got different {name}: "
                f"{str(getattr(trial, name))[:80]} and {str(getattr(dense, name))[:80]}"
            )
    if trial.metric == "loss":
        return loss_difference(trial.parts, dense.parts, trial.counts, seed)
    return order_difference(trial.parts, dense.parts, trial.gold, seed)


def _fits(opened: OpenedModel, settings: Settings) -> None:
    """Raise unless the model does what the settings measure."""
    # `config` raises NotRunnable for what is no transformer.
    if opened.config.is_encoder_decoder or opened.task == "classifier":
        kind = "a classifier" if opened.task == "classifier" else "an encoder with a decoder"
        raise NotRunnable(
            f"{opened.name} is {kind}: causal and masked language models are evaluated on text, "
            "encoders on sentence pairs"
        )
    if settings.pairs and opened.task == "causal":
        raise BadInput(f"sentence pairs measure encoders, and {opened.name} is causal: give a text")
    if settings.pairs and (settings.text or settings.choice):
        raise BadInput("sentence pairs are given beside a text or choices: give one or the other")
    if not settings.pairs and opened.task == "encoder":
        raise BadInput(
            f"{opened.name} is an encoder without a head, which predicts no text: give sentence "
            "pairs with scores, as .csv, .tsv or .jsonl, by --pairs FILE, or as Pairs among the "
            "settings of the evaluation"
        )
    if settings.choice and opened.task != "causal":
        raise BadInput(f"{opened.name} is not causal, so it cannot choose answers: leave them out")


def _causal(
    opened: OpenedModel, network: nn.Module, found: Windows, questions: str | None, report: Report
) -> Evaluation:
    nats = score(network, found.ids, next_tokens(found.ids), report)
    said = f"{found.description}; the first token of each is not predicted"
    measured = _loss(found, nats, said)
    if found.bytes_scored is not None:
        measured["bits_per_byte"] = sum(nats.sums) / math.log(2) / max(1, sum(found.bytes_scored))
    if questions:
        answered = choice.answer(opened, network, choice.read(questions), report)
        measured |= {
            "choice_accuracy": answered.accuracy,
            "choice_normalised": answered.normalised,
            "choice_count": answered.count,
            "protocol": f"{said}; {answered.count:,} questions of {Path(questions).name}",
        }
    return Evaluation(**measured)


def _masked(
    opened: OpenedModel, network: nn.Module, found: Windows, seed: int, report: Report
) -> Evaluation:
    nats = score(network, *_hidden(opened, found, seed), report)
    said = (
        f"{found.description}; {MASKED_SHARE:.0%} of the tokens of each, at least one, are masked "
        f"with seed {seed} and predicted"
    )
    return Evaluation(**_loss(found, nats, said))


def _hidden(opened: OpenedModel, found: Windows, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    tokenizer = opened.tokenizer()
    if tokenizer.mask_token_id is None:
        raise NotRunnable(f"the tokenizer of {opened.name} has no mask token to predict")
    special = [getattr(tokenizer, name, None) for name in SPECIAL]
    generator = torch.Generator().manual_seed(seed)
    try:
        return mask(
            found.ids,
            tokenizer.mask_token_id,
            generator,
            tuple(i for i in special if i is not None),
        )
    except ValueError:
        raise BadInput(f"{found.name} has a window of special tokens only: give a text") from None


def _loss(found: Windows, nats: Nats, said: str) -> dict[str, Any]:
    return {
        "metric": "loss",
        "score": nats.mean,
        "perplexity": _exp(nats.mean),
        "accuracy": nats.hits / sum(nats.counts),
        "parts": nats.sums,
        "counts": nats.counts,
        "protocol": said,
        "text_sha256": found.sha256,
        "evaluated_on": found.name,
        "warnings": found.warnings,
    }


def _exp(nats: float) -> float | None:
    """Return the perplexity, or None where it is beyond float64."""
    return math.exp(nats) if nats < math.log(torch.finfo(torch.float64).max) else None


def _by_pairs(opened: OpenedModel, network: nn.Module, path: str, report: Report) -> Evaluation:
    pairs = similarity.read(path)
    cosines = similarity.cosines(opened, network, pairs, report)
    return Evaluation(
        metric="spearman",
        score=similarity.agreement(cosines, pairs),
        protocol=similarity.words(opened, pairs),
        text_sha256=pairs.sha256,
        evaluated_on=pairs.name,
        parts=cosines,
        gold=pairs.scores,
    )
