"""ASVD's search: one cut on the loss that each layer causes when it alone is compressed.

Every layer was measured at a few ranks, all others whole. At a cut c a layer takes the smallest of
its ranks whose loss is at most c, and stays dense where none is. More is cut away as c grows, so
the smallest c whose numbers fit a budget is found by bisection over the measured losses. What is
left of the budget is handed out as in `allocate.py`.

Yuan et al. (2023), https://arxiv.org/abs/2312.05821
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from analysis.compress.allocation.allocate import Allocation, Allocator, exactly, filled
from analysis.compress.allocation.curves import Curves
from analysis.compress.allocation.hand_set import held
from analysis.registry import AnalysisError


@dataclass(frozen=True, eq=False)
class _Tried:
    """Single compressed layers, by rising loss."""

    layer: np.ndarray  # (T,)
    point: np.ndarray  # (T,) position on the curves
    loss: np.ndarray  # (T,)

    def at(self, curves: Curves, cut: float) -> np.ndarray:
        """Return the smallest allowed point of each layer (L,)."""
        allowed = self.loss <= cut
        at = curves.dense.copy()
        np.minimum.at(at, self.layer[allowed], self.point[allowed])
        return at


def allocate(
    allocator: Allocator,
    layers: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    kept: float | Fraction,
) -> Allocation:
    """Return what the search gives within `kept` of all dense layers' numbers.

    `rows` have a layer, a rank and the loss with only that layer at that rank; `layers` are the
    names of the curves' layers. `threshold` is the cut: the largest loss that was taken, None where
    nothing was. Raises ValueError for a row of another layer or without a finite loss, and
    AnalysisError for a size below the smallest that the rows reach.
    """
    curves = allocator.curves
    share = exactly(kept)
    budget = int(share * curves.total)
    at, cut = _search(curves, _tried(curves, layers, rows), budget)
    left = budget - int(curves.cost[at].sum())
    if left < 0:
        least = float(Fraction(int(curves.cost[at].sum()), curves.total))
        raise AnalysisError(
            f"kept {float(share):.1%} cannot be reached by sensitivity: the layers were measured "
            f"down to {least:.1%} in all. Keep more, or use another allocation"
        )
    return Allocation(curves, allocator.weight, filled(allocator, at, left), cut)


def _search(curves: Curves, tried: _Tried, budget: int) -> tuple[np.ndarray, float | None]:
    """Return the points under the smallest cut that fits, or under the largest where none does."""
    losses = np.unique(tried.loss)
    low, high = 0, len(losses)  # how many of the losses are allowed
    while low < high:
        middle = (low + high) // 2
        cut = float(losses[middle - 1]) if middle else -np.inf
        if curves.cost[tried.at(curves, cut)].sum() <= budget:
            high = middle
        else:
            low = middle + 1
    if not low:
        return curves.dense, None
    cut = float(losses[low - 1])
    return tried.at(curves, cut), cut


def _tried(curves: Curves, layers: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> _Tried:
    place = {name: position for position, name in enumerate(layers)}
    for row in rows:
        if row["layer"] not in place:
            raise ValueError(f"expected a layer of the curves, got {row['layer']!r}")
        if not np.isfinite(row["loss"]):
            raise ValueError(f"expected a finite loss of {row['layer']}, got {row['loss']}")
    layer = np.array([place[row["layer"]] for row in rows], dtype=np.int64)
    rank = np.array([row["rank"] for row in rows], dtype=np.int64)
    point = np.array(
        [_point(curves, at, allowed) for at, allowed in zip(layer, rank, strict=True)],
        dtype=np.int64,
    )
    # Two factors of a large rank save nothing.
    point = np.where(
        held(curves, rank, layer) < curves.cost[curves.dense[layer]], point, curves.dense[layer]
    )
    return _Tried(layer, point, np.array([row["loss"] for row in rows], dtype=np.float64))


def _point(curves: Curves, layer: int, allowed: int) -> int:
    """Return the position of what a layer takes when it is allowed a rank."""
    begin, end = curves.start[layer], curves.dense[layer]
    best = curves.best[begin:end]
    taken = best[np.searchsorted(best, allowed, "right") - 1]
    return int(begin + np.searchsorted(best, taken))
