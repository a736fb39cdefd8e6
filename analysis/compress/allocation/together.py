"""What layers that are compressed together lose: more, or less, than the sum of each alone.

With z_l(t) = g_l(t)ᵀ (W_l - W_l') x_l(t) for the tokens t of a calibration's sample, the expected
change of loss is ½ E_t[(Σ_l z_l)²] nats per predicted token; each layer alone has ½ E_t[z_l²]. The
whole is shared out as ½ E_t[z_l · Σ_m z_m], which is what a layer alone loses and half of what
it and each other add to each other: the Shapley value of the layer.

Kept of each layer is z at a few of its ranks, the levels, each scaled to a mean square of one. What
it loses alone is known at every rank, from its curve; for what it adds to others, z at a rank
between two levels is taken to be z_low + w (z_high - z_low), with w the share that the square of
its length has come from the one to the other: its projection on these two, where what each rank
leaves out is uncorrelated to what the next ones do. Levels are a factor of √2 apart in length, so
that at most a sixth of z² is beside that projection, and half way only. No torch: the pages ask.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

ALL = 24  # ranks, up to which each is a level
STEPS = 18  # of √2 in length: down to 1/512 of what rank 0 loses, 4e-6 of its square
Floats = npt.NDArray[np.float64]
Point = tuple[np.ndarray, np.ndarray]  # each layer's rank, and whether it is dense


@dataclass(frozen=True, eq=False)
class Directions:
    """Of one layer: z at some ranks, over a sample of tokens."""

    sample: str  # the name of the tokens and labels
    ranks: np.ndarray  # (G,) int, ascending, from 0 to K
    unit: np.ndarray  # (G, T) float16, each row with a mean square of 1, or 0 where nothing is lost


def levels(expected: Floats) -> np.ndarray:
    """Return the ranks to keep directions of, for ½ E[z²] at the ranks 0, ..., K."""
    K = len(expected) - 1
    if K + 1 <= ALL:
        return np.arange(K + 1)
    least = np.minimum.accumulate(expected)
    wanted = expected[0] * 0.5 ** np.arange(STEPS + 1)
    # The first rank at which no more than that is left.
    found = np.searchsorted(-least, -wanted, side="left")
    return np.unique(np.append(np.minimum(found, K), K))


class Together:
    """Ask for the shares of layers of which each has a curve, and most have directions."""

    def __init__(self, expected: Sequence[Floats], directions: Sequence[Directions | None]) -> None:
        self._start = np.cumsum([0, *map(len, expected)])[:-1].astype(np.int64)
        self._own = np.concatenate([np.empty(0), *expected])
        by_sample: dict[str, list[int]] = {}
        for layer, known in enumerate(directions):
            if known is not None:
                by_sample.setdefault(known.sample, []).append(layer)
        self._groups = [
            _Group.of(members, [expected[i] for i in members], [directions[i] for i in members])
            for members in by_sample.values()
        ]

    def shares(self, rank: np.ndarray, dense: np.ndarray) -> Floats:
        """Return what each layer adds to the whole at its rank (L,), 0 where it is dense.

        Layers without directions, or of other tokens, add what they lose alone.
        """
        found: Floats = np.where(dense, 0.0, self._own[self._start + rank])
        for group in self._groups:
            found[group.members] += group.added(rank, dense)
        return found

    def totals(self, points: Sequence[Point]) -> Floats:
        """Return the sum of `shares` at each of some points (rank (L,), dense (L,))."""
        alone = [
            np.where(dense, 0.0, self._own[self._start + rank]).sum() for rank, dense in points
        ]
        return np.asarray(alone) + sum(group.total(points) for group in self._groups)


@dataclass(frozen=True, eq=False)
class _Group:
    """Layers whose directions are over the same tokens, all levels end to end."""

    members: np.ndarray  # (L,) which layers they are
    start: np.ndarray  # (L,) where a layer's ranks begin in the next three
    level: np.ndarray  # (R,) the level at or below each rank
    here: Floats  # (R,) what of that level's direction is in z
    above: Floats  # (R,) what of the next one's
    square: Floats  # (R,) the mean square of both
    unit: np.ndarray  # (G, T) float32
    layer: np.ndarray  # (G,) the place in `members` of each level's layer

    @classmethod
    def of(
        cls, members: Sequence[int], expected: Sequence[Floats],
        directions: Sequence[Directions | None],
    ) -> "_Group":  # fmt: skip
        known = [each for each in directions if each is not None]
        counts = [len(each.ranks) for each in known]
        first = np.cumsum([0, *counts])[:-1]
        parts = [
            _between(curve, each, at)
            for curve, each, at in zip(expected, known, first, strict=True)
        ]
        level, here, above, square = (np.concatenate(each) for each in zip(*parts, strict=True))
        return cls(
            members=np.asarray(members),
            start=np.cumsum([0, *map(len, expected)])[:-1].astype(np.int64),
            level=level,
            here=here,
            above=above,
            square=square,
            unit=np.concatenate([each.unit for each in known]).astype(np.float32),
            layer=np.repeat(np.arange(len(known)), counts),
        )

    def added(self, rank: np.ndarray, dense: np.ndarray) -> Floats:
        """Return ½ E[z_l · Σ_{m≠l} z_m] of each member l."""
        weights, square = self._of(rank, dense)
        used = np.flatnonzero(weights)
        unit, of_used = self.unit[used], weights[used]
        along = unit @ (of_used @ unit) / unit.shape[1]
        found: Floats = -0.5 * square
        np.add.at(found, self.layer[used], 0.5 * of_used * along)
        return found

    def total(self, points: Sequence[Point]) -> Floats:
        """Return the sum of `added` over the members, of each point."""
        weights, squares = zip(*(self._of(*point) for point in points), strict=True)
        z = np.stack(weights) @ self.unit
        found: Floats = 0.5 * (np.square(z).mean(1) - np.sum(squares, axis=1))
        return found

    def _of(self, rank: np.ndarray, dense: np.ndarray) -> tuple[np.ndarray, Floats]:
        """Return how much of each level is in Σ z (G,) float32, and E[z_l²] of each member."""
        taken = ~dense[self.members]
        at = (self.start + rank[self.members])[taken]
        weights = np.zeros(len(self.unit) + 1)  # behind the last level there is none, of weight 0
        np.add.at(weights, self.level[at], self.here[at])
        np.add.at(weights, self.level[at] + 1, self.above[at])
        square = np.zeros(len(self.members))
        square[taken] = self.square[at]
        return weights[:-1].astype(np.float32), square


def _between(
    expected: Floats, known: Directions, first: int
) -> tuple[np.ndarray, Floats, Floats, Floats]:
    """Return for each rank: the level below it, how much of that and of the next is in z, |z|²."""
    unit = known.unit.astype(np.float64)
    index = np.searchsorted(known.ranks, np.arange(len(expected)), side="right") - 1
    following = np.minimum(index + 1, len(known.ranks) - 1)
    low, high = (2 * expected[known.ranks[each]] for each in (index, following))
    gone = np.divide(low - 2 * expected, low - high, out=np.zeros_like(low), where=low != high)
    gone = np.clip(gone, 0.0, 1.0)
    here, above = (1 - gone) * np.sqrt(low), gone * np.sqrt(high)
    own = (unit**2).mean(1)
    cosine = np.append((unit[:-1] * unit[1:]).mean(1), own[-1])[index]
    square = here**2 * own[index] + above**2 * own[following] + 2 * here * above * cosine
    return index + first, here, above, square
