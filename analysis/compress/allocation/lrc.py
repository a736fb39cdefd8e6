"""WeLore's choice: layers that are low-rank are factored, the others stay dense.

A direction is pruned where its normalised singular value s̃ = (σ - σ_min)/(σ_max - σ_min) is below
τ; a layer that would lose less than `cutoff` of its rank, or whose factors would be no smaller than
it is, stays dense. Numbers fall as τ rises, so the smallest τ that meets a budget is found by
bisection over the values that s̃ takes: the nearest size below, in applied parameters.

Jaiswal et al. (2024), https://arxiv.org/abs/2407.11239
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.compress.allocation.curves import Floats, Losses
from analysis.compress.allocation.storage import costs
from analysis.numerics.break_even import dense_because
from analysis.numerics.global_threshold import normalised, pruned


@dataclass(frozen=True, eq=False)
class Classified:
    """The rank of each layer (None: dense, N-LRC), what they hold, and τ."""

    ranks: tuple[int | None, ...]
    numbers: int
    threshold: float


def classify(layers: Sequence[Losses], budget: int, form: str, cutoff: float) -> Classified:
    """Return the first classification, by rising τ, that holds at most `budget` numbers.

    `lost` of a layer is the plain squared error at each rank. Where no τ reaches the budget, the
    one of the highest τ is returned, which holds the least.
    """
    scaled = [normalised(_sizes(layer)) for layer in layers]
    levels = np.unique(np.concatenate([np.empty(0), *scaled]))
    # Between two levels nothing changes; above the last all would be pruned.
    between = np.append((levels[1:] + levels[:-1]) / 2, 1.0)
    low, high = -1, len(between) - 1
    while low < high:
        middle = (low + high) // 2
        if _at(layers, scaled, _tau(between, middle), form, cutoff).numbers <= budget:
            high = middle
        else:
            low = middle + 1
    return _at(layers, scaled, _tau(between, low), form, cutoff)


def _tau(between: Floats, place: int) -> float:
    return 0.0 if place < 0 else float(between[place])


def _sizes(layer: Losses) -> Floats:
    """Return singular values from the squared errors that they leave, descending."""
    return np.sort(np.sqrt(np.maximum(-np.diff(layer.lost), 0.0)))[::-1]


def _at(
    layers: Sequence[Losses], scaled: Sequence[Floats], tau: float, form: str, cutoff: float
) -> Classified:
    ranks, numbers = [], 0
    for layer, s in zip(layers, scaled, strict=True):
        lost = pruned(s, tau)
        held = costs(layer.rows, layer.cols, form)
        # The row-interpolative form has no break-even; there the cutoff alone speaks.
        dense = dense_because(
            (layer.rows, layer.cols), lost, cutoff=cutoff,
            allow_above_break_even=form == "row_interpolative",
        )  # fmt: skip
        kept = min(layer.rows, layer.cols) - lost
        # Factors of as many numbers as the layer would lose something and save nothing.
        rank = None if dense or kept >= len(held) - 1 else kept
        ranks.append(rank)
        numbers += int(held[-1] if rank is None else held[rank])
    return Classified(tuple(ranks), numbers, tau)
