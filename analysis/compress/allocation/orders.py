"""In which order an allocation rule buys the steps of all layers: sorted once, cut at any budget.

energy   one η for all layers, the smallest k with Σ_{i<=k} σᵢ² >= η Σ σᵢ²: direction k is bought
         once η exceeds the share that k - 1 directions hold
WeLore   one τ for all layers: directions with s̃ >= τ stay, s̃ = (σ - σ_min)/(σ_max - σ_min)
greedy   segments of each layer's upper concave hull of (numbers held, energy kept), the dense layer
         among its points, by gain per number

Steps after which a layer has lost nothing are never bought: they would keep nothing more.

Jaiswal et al. (2024), https://arxiv.org/abs/2407.11239 (WeLore)
"""

from dataclasses import dataclass

import numpy as np

from analysis.compress.allocation.curves import Curves


@dataclass(frozen=True, eq=False)
class Order:
    """S steps, the first to buy first. Those of one layer come in the order of its curve."""

    point: np.ndarray  # (S,) position on the curves that a step leads to
    spent: np.ndarray  # (S,) numbers held after it
    level: np.ndarray  # (S,) what the steps are sorted by, descending
    stops: np.ndarray  # counts of steps after which the rule may stop, the first is 0

    def within(self, budget: int) -> int:
        """Return how many steps a budget buys, up to the last stop that fits."""
        held = np.append(0, self.spent)[self.stops]
        return int(self.stops[np.searchsorted(held, budget, "right") - 1])


def energy_order(curves: Curves) -> Order:
    """Order the directions by the share of its layer's energy that was lost before each."""
    steps = _steps(curves)
    return _sorted(steps, curves.step_cost[steps], curves.lost[steps - 1])


def welore_order(curves: Curves) -> Order:
    """Order the directions by s̃ (equal ones together)."""
    steps = _steps(curves)
    return _sorted(steps, curves.step_cost[steps], curves.scaled[steps])


def greedy_order(curves: Curves, weight: np.ndarray) -> Order:
    """Order the hull's segments by gain per number, where a layer's share of energy has a weight.

    `weight` (L,) changes the order of layers, never a hull.
    """
    vertices = hull_vertices(curves)
    inner = np.diff(curves.layer[vertices]) == 0  # of two neighbours, both are of one layer
    begin, to = vertices[:-1][inner], vertices[1:][inner]
    cost = curves.cost[to] - curves.cost[begin]
    gain = (curves.lost[begin] - curves.lost[to]) * weight[curves.layer[to]]
    useful = gain > 0
    return _sorted(to[useful], cost[useful], (gain / cost)[useful], together=False)


def hull_vertices(curves: Curves) -> np.ndarray:
    """Return the positions of all points on the layers' upper concave hulls, ascending."""
    found = [
        begin + upper_hull(curves.cost[begin : end + 1], -curves.lost[begin : end + 1])
        for begin, end in zip(curves.start, curves.dense, strict=True)
    ]
    return np.concatenate([np.empty(0, np.int64), *found])


def upper_hull(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the indices of the vertices of the upper concave hull; x increases.

    Points on a straight line between two others are no vertices.
    """
    xs, ys = x.tolist(), y.tolist()
    kept = [0]
    for new in range(1, len(xs)):
        while len(kept) > 1:
            a, b = kept[-2], kept[-1]
            rise, run = ys[b] - ys[a], xs[b] - xs[a]
            if rise * (xs[new] - xs[b]) > (ys[new] - ys[b]) * run:
                break
            kept.pop()
        kept.append(new)
    return np.array(kept, dtype=np.int64)


def _steps(curves: Curves) -> np.ndarray:
    """Return the positions of all steps that keep something, in the order of the curves."""
    wanted = np.append(0.0, curves.lost)[:-1] > 0
    wanted[curves.start] = False
    return np.flatnonzero(wanted)


def _sorted(
    point: np.ndarray, cost: np.ndarray, level: np.ndarray, *, together: bool = True
) -> Order:
    """Sort steps by falling level; with `together` equal levels are bought at once or not."""
    order = np.argsort(-level, kind="stable")
    level = level[order]
    stop = np.ones(len(order) + 1, dtype=bool)
    if together:
        stop[1:-1] = level[1:] != level[:-1]
    return Order(point[order], np.cumsum(cost[order]), level, np.flatnonzero(stop))
