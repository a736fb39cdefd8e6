"""Which rank each layer gets, so that all of them together hold no more than a budget.

A rule (uniform, or an order of `orders`) buys what it can. What is left of the budget is then
handed out direction by direction, the greatest gain of the objective per number first, so that
every rule ends within one item of the budget and never above it: an item is a direction, or the
step to the dense layer where two factors would hold as much. The greedy rule is then no further
from the best allocation than the first segment of a hull that did not fit.

The gain of a direction is σᵢ² over its own layer's Σσ² (objective "relative"), or σᵢ² ("total").
"""

import heapq
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from analysis.compress.allocation.curves import Curves
from analysis.compress.allocation.orders import Order, energy_order, greedy_order, welore_order

RULES = {
    "greedy": "greedy",
    "uniform": "uniform",
    "energy": "equal energy",
    "welore": "WeLore",
}


@dataclass(frozen=True, eq=False)
class Allocation:
    """How far each of L layers is bought, as positions on the curves."""

    curves: Curves
    weight: np.ndarray  # (L,) of the objective
    at: np.ndarray  # (L,)
    threshold: float | None = None  # η of the energy rule, τ of WeLore

    @property
    def dense(self) -> np.ndarray:
        """Whether each layer stays dense."""
        found: np.ndarray = self.at == self.curves.dense
        return found

    @property
    def rank(self) -> np.ndarray:
        """The rank of each layer; a dense one has all of it."""
        found: np.ndarray = self.curves.best[self.at]
        return found

    @property
    def numbers(self) -> np.ndarray:
        """The numbers that each layer holds."""
        found: np.ndarray = self.curves.cost[self.at]
        return found

    @property
    def lost(self) -> np.ndarray:
        """The share of its own energy that each layer loses, ‖W - W'‖²/‖W‖²."""
        found: np.ndarray = self.curves.lost[self.at]
        return found

    @property
    def error(self) -> float:
        """√(1 - E), with E the share of the objective that is kept."""
        whole = float(self.weight.sum())
        return float(np.sqrt(self.weight @ self.lost / whole)) if whole else 0.0


class Allocator:
    """Allocations over the same curves for one objective; each rule sorts once."""

    def __init__(self, curves: Curves, objective: str = "relative") -> None:
        self.curves = curves
        self.weight = curves.weight(objective)
        self._orders: dict[str, Order] = {}

    def allocate(self, rule: str, kept: float | Fraction) -> Allocation:
        """Return the allocation that holds at most `kept` of all dense layers' numbers.

        Everything kept is all dense. Raises ValueError for an unknown rule and for `kept` outside
        [0, 1].
        """
        if rule not in RULES:
            raise ValueError(f"expected a rule of {', '.join(RULES)}, got {rule!r}")
        share = exactly(kept)
        budget = int(share * self.curves.total)
        if budget == self.curves.total:
            return Allocation(self.curves, self.weight, self.curves.dense)
        at, threshold = self._bought(rule, share, budget)
        left = budget - int(self.curves.cost[at].sum())
        return Allocation(self.curves, self.weight, filled(self, at, left), threshold)

    def _bought(self, rule: str, share: Fraction, budget: int) -> tuple[np.ndarray, float | None]:
        """Return what the rule itself buys, and the threshold where it has one."""
        if rule == "uniform":
            return uniform(self.curves, share), None
        order = self._order(rule)
        count = order.within(budget)
        at = self.curves.start.copy()
        bought = order.point[:count]
        np.maximum.at(at, self.curves.layer[bought], bought)
        return at, _threshold(rule, order, count)

    def _order(self, rule: str) -> Order:
        if rule not in self._orders:
            self._orders[rule] = (
                greedy_order(self.curves, self.weight)
                if rule == "greedy"
                else {"energy": energy_order, "welore": welore_order}[rule](self.curves)
            )
        return self._orders[rule]


def exactly(kept: float | Fraction) -> Fraction:
    """Return a share as the decimal it is written as: 0.6 is 3/5.

    Raises ValueError outside [0, 1].
    """
    if not 0 <= kept <= 1:
        raise ValueError(f"expected a share between 0 and 1, got {kept}")
    return kept if isinstance(kept, Fraction) else Fraction(str(kept))


def uniform(curves: Curves, share: Fraction) -> np.ndarray:
    """Return the last point of each layer that holds at most `share` of its own dense numbers.

    In two factors that is rank k = ⌊share · mn / (m + n)⌋.
    """
    allowed = [int(share * int(dense)) for dense in curves.cost[curves.dense]]
    spans = zip(curves.start, curves.dense + 1, allowed, strict=True)
    return np.array([
        begin + np.searchsorted(curves.cost[begin:end], most, "right") - 1
        for begin, end, most in spans
    ])  # fmt: skip


def filled(allocator: Allocator, at: np.ndarray, left: int) -> np.ndarray:
    """Hand out `left` numbers: the step of greatest gain per number first, while one fits.

    Steps that keep nothing are not taken.
    """
    curves, at = allocator.curves, at.copy()

    def offers(layers: np.ndarray) -> list[tuple[float, int]]:
        layers = layers[at[layers] < curves.dense[layers]]
        step = at[layers] + 1
        worth = curves.step_gain[step] * allocator.weight[layers] / curves.step_cost[step]
        return [(-value, layer) for value, layer in zip(worth, layers, strict=True) if value > 0]

    heap = offers(np.arange(len(at)))
    heapq.heapify(heap)
    while heap:
        _, layer = heapq.heappop(heap)
        cost = curves.step_cost[at[layer] + 1]
        if cost > left:
            continue  # and none of the layer's later steps can come before this one
        at[layer] += 1
        left -= cost
        for offer in offers(np.array([layer])):
            heapq.heappush(heap, offer)
    return at


def _threshold(rule: str, order: Order, count: int) -> float | None:
    """Return η or τ after `count` steps; τ halfway between two s̃, so that no digit moves it."""
    if rule == "greedy":
        return None
    following = float(order.level[count]) if count < len(order.level) else 0.0
    if rule == "energy":
        return 1.0 - following
    last = float(order.level[count - 1]) if count else 1.0
    return (last + following) / 2
