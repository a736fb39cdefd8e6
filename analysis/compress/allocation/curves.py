"""What every layer keeps against what it holds: the curves that ranks are bought on.

A layer's points are its ranks 0, 1, ..., K and then the dense layer (see `storage`). `lost` is the
share Σ_{i>k} σᵢ² / Σ σᵢ² of the layer's own energy that rank k drops, summed from the smallest up,
so that a small loss has all its digits; the dense layer loses nothing. The points of all layers lie
end to end in flat arrays: a step is from one point of a layer to the next.

Curves come from singular values, or from what a method was measured to lose at every rank in any
squared error (expected loss in nats, whitened error). Such a curve need not fall: a rank that loses
no less than a smaller one is no point of it, for a layer that is allowed it takes the smaller.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from analysis.compress.allocation.storage import costs
from analysis.numerics.global_threshold import normalised

OBJECTIVES = {
    "relative": "of each layer's own",
    "total": "of all layers' total",
}
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Layer:
    """The shape of one layer, with its singular values, descending."""

    rows: int
    cols: int
    values: np.ndarray  # (min(rows, cols),)
    noise_floor: float = 0.0


@dataclass(frozen=True, eq=False)
class Losses:
    """The shape of one layer, and the squared error of a method at each of its ranks."""

    rows: int
    cols: int
    lost: Floats  # (min(rows, cols) + 1,) at rank 0, 1, ...; the last is 0 to rounding


@dataclass(frozen=True, eq=False)
class Curves:
    """The curves of L layers with P points in one form."""

    form: str
    layer: np.ndarray  # (P,) int32, which layer a point is of
    start: np.ndarray  # (L,) position of each layer's rank 0
    dense: np.ndarray  # (L,) position of each dense layer
    full: np.ndarray  # (L,) min(m, n)
    cost: np.ndarray  # (P,) int64, numbers held
    lost: np.ndarray  # (P,) share of the layer's own energy
    scaled: np.ndarray  # (P,) WeLore's s̃ of the direction that the step to this point adds
    energy: np.ndarray  # (L,) Σσ², in units of the largest σ of all layers, squared; or the loss
    # of rank 0, in the units of the losses
    best: np.ndarray  # (P,) the rank that a layer takes at a point; of a dense layer the full one

    @classmethod
    def of(cls, layers: Sequence[Layer], form: str) -> "Curves":
        """Return the curves of these layers. Raises ValueError where values do not fit a shape."""
        largest = max((layer.values[0] for layer in layers), default=0.0) or 1.0
        drawn = [_drawn(layer, costs(layer.rows, layer.cols, form)) for layer in layers]
        energy = np.array([np.square(layer.values / largest).sum() for layer in layers])
        return cls._from(layers, form, drawn, energy)

    @classmethod
    def of_losses(cls, layers: Sequence[Losses], form: str) -> "Curves":
        """Return the curves of measured losses. Raises ValueError where they do not fit a shape."""
        drawn = [_measured(layer, costs(layer.rows, layer.cols, form)) for layer in layers]
        energy = np.array([float(layer.lost[0]) for layer in layers])
        return cls._from(layers, form, drawn, energy)

    @classmethod
    def _from(
        cls, layers: Sequence[Layer | Losses], form: str, drawn: list["_Drawn"], energy: np.ndarray
    ) -> "Curves":
        lengths = np.array([len(each.cost) for each in drawn], dtype=np.int64)
        ends = np.cumsum(lengths)
        return cls(
            form=form,
            layer=np.repeat(np.arange(len(layers), dtype=np.int32), lengths),
            start=ends - lengths,
            dense=ends - 1,
            full=np.array([min(layer.rows, layer.cols) for layer in layers], dtype=np.int64),
            cost=_joined([each.cost for each in drawn], np.int64),
            lost=_joined([each.lost for each in drawn], np.float64),
            scaled=_joined([each.scaled for each in drawn], np.float64),
            energy=energy,
            best=_joined([each.best for each in drawn], np.int64),
        )

    @property
    def total(self) -> int:
        """The numbers of all dense layers."""
        return int(self.cost[self.dense].sum())

    def weight(self, objective: str) -> np.ndarray:
        """Return what a share of each layer's energy is worth (L,), 0 where there is none.

        Raises ValueError for an unknown objective.
        """
        if objective not in OBJECTIVES:
            raise ValueError(f"expected an objective of {', '.join(OBJECTIVES)}, got {objective!r}")
        return self.energy if objective == "total" else (self.energy > 0).astype(float)

    @cached_property
    def step_cost(self) -> np.ndarray:
        """Numbers that the step to each point adds (P,); 0 at rank 0."""
        return self._between(self.cost)

    @cached_property
    def step_gain(self) -> np.ndarray:
        """Share of the layer's own energy that the step to each point keeps (P,); 0 at rank 0."""
        return -self._between(self.lost)

    def _between(self, values: np.ndarray) -> np.ndarray:
        steps: np.ndarray = np.diff(values, prepend=0)
        steps[self.start] = 0
        return steps


@dataclass(frozen=True, eq=False)
class _Drawn:
    """One layer's points."""

    cost: np.ndarray
    lost: np.ndarray
    scaled: np.ndarray
    best: np.ndarray


def _drawn(layer: Layer, cost: np.ndarray) -> _Drawn:
    """Return the points of a layer with these singular values."""
    values, full, points = layer.values, min(layer.rows, layer.cols), len(cost)
    best = np.append(np.arange(points - 1), full)
    if values.shape != (full,):
        raise ValueError(
            f"expected {full} singular values of a {layer.rows} x {layer.cols} matrix, "
            f"got an array of shape {values.shape}"
        )
    if values[0] == 0:
        return _Drawn(cost, np.zeros(points), np.zeros(points), best)
    energy = np.square(values / values[0])
    tail = np.cumsum(energy[::-1])[::-1]
    lost = np.append(tail[: points - 1] / tail[0], 0.0)
    scaled = np.append(np.inf, normalised(values, layer.noise_floor)[: points - 1])
    return _Drawn(cost, lost, scaled, best)


def _measured(layer: Losses, cost: np.ndarray) -> _Drawn:
    """Return the points of a layer with these losses: the ranks that lose less than any smaller."""
    full = min(layer.rows, layer.cols)
    if layer.lost.shape != (full + 1,):
        raise ValueError(
            f"expected {full + 1} losses of a {layer.rows} x {layer.cols} matrix, "
            f"got an array of shape {layer.lost.shape}"
        )
    lost = layer.lost[: len(cost) - 1]
    least = np.minimum.accumulate(lost)
    kept = np.flatnonzero(np.append(True, lost[1:] < least[:-1]))
    points, best = np.append(kept, len(cost) - 1), np.append(kept, full)
    if layer.lost[0] <= 0:
        return _Drawn(cost[points], np.zeros(len(points)), np.zeros(len(points)), best)
    sizes = np.sqrt(np.maximum(-np.diff(layer.lost), 0.0))
    order = np.sort(sizes)[::-1]  # WeLore's s~ is of sorted values
    scaled = np.append(np.inf, normalised(order, 0.0))[points]
    return _Drawn(cost[points], np.append(lost[kept] / layer.lost[0], 0.0), scaled, best)


def _joined(arrays: list[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate([np.empty(0, dtype), *arrays]).astype(dtype, copy=False)
