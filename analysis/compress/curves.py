"""What every layer keeps against what it holds: the curves that ranks are bought on.

A layer's points are its ranks 0, 1, ..., K and then the dense layer (see `storage`). `lost` is the
share Σ_{i>k} σᵢ² / Σ σᵢ² of the layer's own energy that rank k drops, summed from the smallest up,
so that a small loss has all its digits; the dense layer loses nothing. The points of all layers lie
end to end in flat arrays: a step is from one point of a layer to the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.compress.storage import costs
from analysis.numerics.global_threshold import normalised

OBJECTIVES = {
    "relative": "of each layer's own",
    "total": "of all layers' total",
}


@dataclass(frozen=True, eq=False)
class Layer:
    """The shape of one layer, with its singular values, descending."""

    rows: int
    cols: int
    values: np.ndarray  # (min(rows, cols),)
    noise_floor: float = 0.0


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
    energy: np.ndarray  # (L,) Σσ², in units of the largest σ of all layers, squared

    @classmethod
    def of(cls, layers: Sequence[Layer], form: str) -> "Curves":
        """Return the curves of these layers. Raises ValueError where values do not fit a shape."""
        largest = max((layer.values[0] for layer in layers), default=0.0) or 1.0
        cost = [costs(layer.rows, layer.cols, form) for layer in layers]
        lengths = np.array([len(points) for points in cost], dtype=np.int64)
        ends = np.cumsum(lengths)
        drawn = [_drawn(layer, len(points)) for layer, points in zip(layers, cost, strict=True)]
        return cls(
            form=form,
            layer=np.repeat(np.arange(len(layers), dtype=np.int32), lengths),
            start=ends - lengths,
            dense=ends - 1,
            full=np.array([min(layer.rows, layer.cols) for layer in layers], dtype=np.int64),
            cost=_joined(cost, np.int64),
            lost=_joined([lost for lost, _ in drawn], np.float64),
            scaled=_joined([scaled for _, scaled in drawn], np.float64),
            energy=np.array([np.square(layer.values / largest).sum() for layer in layers]),
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


def _drawn(layer: Layer, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Return `lost` and `scaled` at one layer's points."""
    values, full = layer.values, min(layer.rows, layer.cols)
    if values.shape != (full,):
        raise ValueError(
            f"expected {full} singular values of a {layer.rows} x {layer.cols} matrix, "
            f"got an array of shape {values.shape}"
        )
    if values[0] == 0:
        return np.zeros(points), np.zeros(points)
    energy = np.square(values / values[0])
    tail = np.cumsum(energy[::-1])[::-1]
    lost = np.append(tail[: points - 1] / tail[0], 0.0)
    scaled = np.append(np.inf, normalised(values, layer.noise_floor)[: points - 1])
    return lost, scaled


def _joined(arrays: list[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate([np.empty(0, dtype), *arrays]).astype(dtype, copy=False)
