"""Negative log-likelihood of windows of tokens, in nats, window by window.

Causal models predict each token of a window but its first, from those before it. Masked models
predict a seeded 15 % of a window's tokens, at least one, each replaced by the mask token (Devlin et
al. 2018, https://arxiv.org/abs/1810.04805, without their random and unchanged words); tokens that
open or close a window are never masked. Log-probabilities are float32, their sums float64.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from analysis.evaluate.non_finite import non_finite
from analysis.registry import Quiet, Report

UNSCORED = -100
MASKED_SHARE = 0.15
LOGITS = 2**25  # entries of one batch's logits: 128 MiB


@dataclass(frozen=True)
class Nats:
    """What windows cost: the sum of -ln p of each, over how many tokens, and how many were best."""

    sums: tuple[float, ...]
    counts: tuple[int, ...]
    hits: int  # tokens that were the most likely ones

    @property
    def mean(self) -> float:
        """Nats per token over all windows."""
        return sum(self.sums) / sum(self.counts)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode, and each of its modules back afterwards."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def next_tokens(ids: Tensor) -> Tensor:
    """Return what each position of ids (W, L) predicts; nothing is after the last."""
    return torch.cat([ids[:, 1:], ids.new_full((len(ids), 1), UNSCORED)], dim=1)


def mask(
    ids: Tensor, mask_id: int, generator: torch.Generator, kept: tuple[int, ...] = ()
) -> tuple[Tensor, Tensor]:
    """Return ids (W, L) with a drawn 15 % of each row masked, and what stood there.

    Tokens in `kept` are never masked. Raises ValueError for a row of nothing else.
    """
    free = ~torch.isin(ids, torch.tensor(kept, dtype=ids.dtype))
    if not free.any(1).all():
        raise ValueError("expected a token to mask in every window, got a window of kept ones")
    order = torch.rand(ids.shape, generator=generator).masked_fill(~free, 2.0)
    rank = order.argsort(1).argsort(1)
    count = (free.sum(1) * MASKED_SHARE).long().clamp(min=1)
    chosen = rank < count[:, None]
    return ids.masked_fill(chosen, mask_id), ids.masked_fill(~chosen, UNSCORED)


def score(
    network: nn.Module, inputs: Tensor, targets: Tensor, report: Report | None = None
) -> Nats:
    """Return -ln p of targets (W, L), UNSCORED where nothing is asked, given inputs (W, L).

    Raises NonFiniteLayer for logits that are not finite, naming the module they come from.
    """
    report = report or Quiet()
    rows = _rows(network, inputs.shape[1])
    sums: list[float] = []
    hits = 0
    with evaluating(network), torch.inference_mode():
        for start in range(0, len(inputs), rows):
            report(start, len(inputs), "windows")
            found, best = _batch(
                network, inputs[start : start + rows], targets[start : start + rows]
            )
            sums += found
            hits += best
    report(len(inputs), len(inputs), "windows")
    return Nats(tuple(sums), tuple((targets != UNSCORED).sum(1).tolist()), hits)


def _batch(network: nn.Module, inputs: Tensor, targets: Tensor) -> tuple[list[float], int]:
    device = next(network.parameters()).device
    inputs, targets = inputs.to(device), targets.to(device)
    logits = network(input_ids=inputs).logits.float()
    losses = nn.functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=UNSCORED, reduction="none"
    ).view(targets.shape)
    sums = losses.double().sum(1)
    # The logits too: one that is not the target's can be NaN only with its row, but -inf alone.
    if not (logits.isfinite().all() and sums.isfinite().all()):
        raise non_finite(network, lambda: network(input_ids=inputs))
    return sums.tolist(), int((logits.argmax(-1) == targets).sum())


def _rows(network: nn.Module, length: int) -> int:
    vocabulary = int(getattr(getattr(network, "config", None), "vocab_size", 0)) or 1
    return max(1, min(32, LOGITS // (length * vocabulary)))
