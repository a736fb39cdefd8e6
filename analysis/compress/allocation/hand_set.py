"""Ranks that were set by hand, counted on the curves of an allocation.

A layer that is not named stays dense. A rank is taken as it is asked for, also where two factors
then hold more than the dense layer: `larger` names those. Curves end below the break-even, so what
a rank beyond it loses is not known here; nor is it where a smaller rank loses less.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.compress.allocation.curves import Curves


@dataclass(frozen=True, eq=False)
class HandSet:
    """The ranks of L layers, with what `allocate.Allocation` says of its own."""

    curves: Curves
    weight: np.ndarray  # (L,) of the objective
    rank: np.ndarray  # (L,) a dense layer has all of it
    dense: np.ndarray  # (L,) whether a layer was left as it is
    numbers: np.ndarray  # (L,) numbers held
    lost: np.ndarray  # (L,) share of the layer's own energy, NaN where the curves do not say
    larger: tuple[str, ...]  # layers that hold more numbers than dense
    threshold: None = None

    @property
    def error(self) -> float:
        """√(1 - E), with E the share of the objective that is kept; NaN where one is not known."""
        whole = float(self.weight.sum())
        return float(np.sqrt(self.weight @ self.lost / whole)) if whole else 0.0


def at_ranks(
    curves: Curves,
    layers: Sequence[str],
    ranks: Mapping[str, int],
    weight: np.ndarray | None = None,
) -> HandSet:
    """Return these ranks of the curves' layers, which are called `layers`.

    `weight` (L,) is of the objective; not given, each layer's own energy counts alike. Raises
    ValueError for a name that is no layer, and for a rank outside 0 to min(m, n).
    """
    _check(curves, layers, ranks)
    asked = np.array([ranks.get(name, -1) for name in layers], dtype=np.int64)
    dense = asked < 0
    rank = np.where(dense, curves.full, asked)
    numbers = np.where(dense, curves.cost[curves.dense], held(curves, rank))
    return HandSet(
        curves=curves,
        weight=curves.weight("relative") if weight is None else weight,
        rank=rank,
        dense=dense,
        numbers=numbers,
        lost=_lost(curves, rank),
        larger=tuple(np.array(layers, dtype=object)[numbers > curves.cost[curves.dense]]),
    )


def _check(curves: Curves, layers: Sequence[str], ranks: Mapping[str, int]) -> None:
    for name in ranks:
        if name not in layers:
            near = difflib.get_close_matches(name, layers, n=3) or list(layers[:3])
            raise ValueError(f"expected layers such as {', '.join(near)}, got {name!r}")
    for name, full in zip(layers, curves.full.tolist(), strict=True):
        if not 0 <= ranks.get(name, 0) <= full:
            raise ValueError(f"expected a rank of {name} from 0 to {full}, got {ranks[name]}")


def held(curves: Curves, rank: np.ndarray, layer: np.ndarray | None = None) -> np.ndarray:
    """Return the numbers k(m + n), or k(m + n - k), that ranks hold, also beyond the curves' own.

    `rank` (L,), or (T,) of these layers (T,). With K = min(m, n), m + n = K + mn/K.
    """
    of = np.arange(len(curves.full)) if layer is None else layer
    full = curves.full[of]
    sides = full + curves.cost[curves.dense[of]] // full
    less = rank if curves.form == "row_interpolative" else 0
    numbers: np.ndarray = rank * (sides - less)
    return numbers


def _lost(curves: Curves, rank: np.ndarray) -> np.ndarray:
    """Return what each rank loses: nothing at full rank, NaN where the curves do not say."""
    lost = np.where(rank == curves.full, 0.0, np.nan)
    for place, (begin, end) in enumerate(zip(curves.start, curves.dense, strict=True)):
        at = begin + np.searchsorted(curves.best[begin:end], rank[place])
        if at < end and curves.best[at] == rank[place]:
            lost[place] = curves.lost[at]
    return lost
