"""What each layer of a trial gets: a rank, one of a method's own sizes, or its dense self.

The size to keep is a share of the numbers of all chosen linear layers. Those that cannot be
replaced stay dense and count, so the others have to give more.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from analysis.compress.allocation import hand_set, lrc, objectives, sensitivity_cut
from analysis.compress.allocation.allocate import Allocator, exactly
from analysis.compress.allocation.curves import Losses
from analysis.compress.allocation.storage import costs
from analysis.compress.registry import Option
from analysis.compress.trials.names import NOT_REACHED
from analysis.compress.trials.specs import BY_HAND, SENSITIVITY, Spec
from analysis.networks.errors import BadInput

ALWAYS_HELD = "what stays dense, with any compensation,"
SMALLEST = "the smallest size of the method"
HALVING = 0.9  # of the size: from here on uniform ranks in two factors lose far more than size


@dataclass(frozen=True)
class Choice:
    """Ranks by layer (None: dense), or options by the first layer of what a method saw together."""

    ranks: dict[str, int | None] = field(default_factory=dict)
    options: dict[str, Option | None] = field(default_factory=dict)
    objective: str = ""
    threshold: float | None = None
    coarse: bool = False  # the rule has sizes of its own: what is left over is not handed out
    warnings: tuple[str, ...] = ()

    @property
    def words(self) -> dict[str, str]:
        """What the options say of themselves, by the first layer that each covers."""
        return {layer: option.words for layer, option in self.options.items() if option}


@dataclass(frozen=True)
class Budget:
    """How many numbers the layers that can be replaced may hold."""

    kept: float  # of all chosen linear layers, as asked
    total: int  # their numbers
    fixed: int  # of those that stay dense whatever happens
    reserved: int = 0  # for what is added to every layer that is replaced

    @property
    def left(self) -> int:
        """The numbers for what can be replaced."""
        return int(exactly(self.kept) * self.total) - self.fixed - self.reserved

    @property
    def share(self) -> Fraction:
        """The same as a share of what those layers hold when dense."""
        return Fraction(max(self.left, 0), max(self.total - self.fixed, 1))

    def refuse(self, least: int, why: str) -> BadInput:
        """Return the sentence for a size that is not reached; `least` of what can be replaced."""
        share = Fraction(least + self.fixed + self.reserved, self.total)
        return BadInput(
            f"{100 * self.kept:g} % of the linear layers' parameters {NOT_REACHED}: {why} leaves "
            f"at least {math.ceil(1000 * share) / 10:g} % of them; keep more, or choose "
            "fewer layers"
        )


def choose_ranks(
    spec: Spec, params: Any, rows: Sequence[Mapping[str, Any]], budget: Budget | None,
    sensitivity: Sequence[Mapping[str, Any]] = (),
) -> Choice:  # fmt: skip
    """Return the rank of each layer, by a method's factor rows.

    `budget` None is for ranks by hand. Raises BadInput for what the rows cannot answer.
    """
    try:
        name = objectives.chosen(spec.objective or "auto", rows)
    except ValueError as error:
        raise BadInput(
            f"{spec.method}: {error}; calibrate with gradients, or choose another objective"
        ) from None
    layers = [str(row["layer"]) for row in rows]
    if spec.allocation == BY_HAND:
        return _by_hand(spec, rows, layers, name)
    assert budget is not None
    if budget.left <= 0:
        raise budget.refuse(1, ALWAYS_HELD)
    if spec.method == "welore" and params.layers == "lrc":
        return _lrc(spec, params, rows, budget)
    curves, weighing = objectives.curves(rows, name, spec.form)
    allocator = Allocator(curves, weighing)
    if spec.allocation == SENSITIVITY:
        found = sensitivity_cut.allocate(allocator, layers, sensitivity, budget.share)
    else:
        found = allocator.allocate(spec.allocation, budget.share)
    ranks = _ranks(layers, found.dense, found.rank)
    return Choice(ranks, {}, name, found.threshold, warnings=tuple(_warnings(spec, rows, ranks)))


def choose_options(
    offers: Mapping[str, Sequence[Option]], held: Mapping[str, int], budget: Budget
) -> Choice:
    """Return for each group the best of its own sizes within the share; in all never above it.

    `held` has the dense numbers of the layers that each group's options cover; a group whose sizes
    hold no less stays dense (None). Raises BadInput where the least sizes are too large.
    """
    sizes = {group: _Sizes(held[group], options) for group, options in offers.items()}
    least = sum(each.numbers(each.smallest()) for each in sizes.values())
    if least > budget.left:
        raise budget.refuse(least, SMALLEST)
    found = {group: each.within(budget.share * held[group]) for group, each in sizes.items()}
    _shrink(found, sizes, budget.left)
    _grow(found, sizes, budget.left)
    return Choice(options=found)


@dataclass(frozen=True)
class _Sizes:
    """What one group can hold: options that save something, or all of its dense numbers (None)."""

    held: int
    options: Sequence[Option]

    def numbers(self, option: Option | None) -> int:
        """Return what the group holds with an option."""
        return self.held if option is None else option.numbers

    def between(self, least: int, most: Fraction | int) -> list[Option | None]:
        """Return what holds from `least` to `most` numbers."""
        known = [None, *(o for o in self.options if o.numbers < self.held)]
        return [one for one in known if least <= self.numbers(one) <= most]

    def smallest(self) -> Option | None:
        """Return what holds the least."""
        return min(self.between(0, self.held), key=self.numbers)

    def within(self, most: Fraction) -> Option | None:
        """Return what loses least of all that holds at most so many numbers, or the smallest."""
        fitting = self.between(0, most)
        best = min(fitting, key=lambda o: (o.error if o else 0.0, self.numbers(o)), default=None)
        return best if fitting else self.smallest()

    def below(self, now: Option | None) -> Option | None:
        """Return the next smaller one, itself where it is the smallest."""
        smaller = self.between(0, self.numbers(now) - 1)
        return max(smaller, key=self.numbers, default=now)

    def above(self, now: Option | None, room: int) -> Option | None:
        """Return the largest that takes at most `room` more and loses less, itself if none does."""
        lost = now.error if now else 0.0
        larger = self.between(self.numbers(now) + 1, self.numbers(now) + room)
        better = [one for one in larger if one is None or one.error < lost]
        return max(better, key=self.numbers, default=now)


Found = dict[str, Option | None]


def _room(found: Found, sizes: Mapping[str, _Sizes], left: int) -> int:
    return left - sum(sizes[group].numbers(option) for group, option in found.items())


def _shrink(found: Found, sizes: Mapping[str, _Sizes], left: int) -> None:
    """Take the largest step down, group after group, while all together hold too much."""
    while _room(found, sizes, left) < 0:
        found |= _step(found, {g: sizes[g].below(found[g]) for g in found}, sizes)


def _grow(found: Found, sizes: Mapping[str, _Sizes], left: int) -> None:
    """Give what is left to the group that can use most of it, while one can."""
    while True:
        room = _room(found, sizes, left)
        larger = {g: sizes[g].above(found[g], room) for g in found}
        if larger == found:
            return
        found |= _step(found, larger, sizes)


def _step(found: Found, then: Found, sizes: Mapping[str, _Sizes]) -> Found:
    """Return the one change of most numbers."""
    steps = {g: abs(sizes[g].numbers(found[g]) - sizes[g].numbers(then[g])) for g in found}
    group = max(steps, key=lambda g: steps[g])
    return {group: then[group]}


def _by_hand(spec: Spec, rows: Sequence[Mapping[str, Any]], layers: list[str], name: str) -> Choice:
    curves, _ = objectives.curves(rows, name, spec.form)
    try:
        hand_set.at_ranks(curves, layers, spec.ranks)
    except ValueError as error:
        raise BadInput(f"ranks by hand: {error}") from None
    ranks = {layer: spec.ranks.get(layer) for layer in layers}
    # What then is larger than dense is told by what the trial makes, with its compensation.
    return Choice(ranks, {}, name, None)


def _lrc(spec: Spec, params: Any, rows: Sequence[Mapping[str, Any]], budget: Budget) -> Choice:
    losses = [Losses(int(r["rows"]), int(r["cols"]), np.asarray(r["plain"])) for r in rows]
    layers = [str(row["layer"]) for row in rows]
    found = lrc.classify(losses, budget.left, spec.form, params.cutoff)
    if found.numbers > budget.left:
        raise budget.refuse(found.numbers, "factoring only what WeLore calls low-rank")
    ranks = dict(zip(layers, found.ranks, strict=True))
    return Choice(ranks, {}, "relative", found.threshold, coarse=True)


def _ranks(layers: Sequence[str], dense: Any, rank: Any) -> dict[str, int | None]:
    triples = zip(layers, dense, rank, strict=True)
    return {layer: None if stays else int(k) for layer, stays, k in triples}


def _warnings(
    spec: Spec, rows: Sequence[Mapping[str, Any]], ranks: Mapping[str, int | None]
) -> list[str]:
    said = []
    shares = [
        rank / min(row["rows"], row["cols"])
        for row in rows
        if (rank := ranks[row["layer"]]) is not None
    ]
    uniform = spec.allocation == "uniform" and spec.form == "two_factor"
    if uniform and spec.kept and spec.kept >= HALVING and shares:
        said.append(
            f"Keeping {spec.kept:.0%} of the size of each layer in two factors keeps as little as "
            f"{min(shares):.0%} of its rank: near full size a layer had better stay dense."
        )
    gone = [layer for layer, rank in ranks.items() if rank == 0]
    if gone:
        said.append(
            f"Layers that keep no direction, so that only their bias is left: {', '.join(gone)}."
        )
    return said


def numbers_of(rows: int, cols: int, rank: int | None, form: str) -> int:
    """Return what a layer holds at a rank (None: dense), also above the break-even rank."""
    if rank is None:
        return rows * cols
    held = costs(rows, cols, form)
    if rank < len(held) - 1:
        return int(held[rank])
    return rank * (rows + cols - (rank if form == "row_interpolative" else 0))
