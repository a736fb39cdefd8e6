"""Which ranks of a Tucker decomposition with shared factors are worth having, by what they hold.

Ranks (R1, R2, R3) of a core (h x K1 x K2 x K3) hold dR1 + d_hR2 + SR3 + hR1R2R3 numbers and lose
the energy of the core outside of its leading block. That energy is summed from what is outside,
never as a difference of two large sums, so that a small loss has all its digits.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

OFFERED = 64
PAIRED = 512  # sizes of each of two tensors that are tried with those of the other


class Size(NamedTuple):
    """One size: what it holds and loses, and the ranks of each tensor."""

    numbers: int
    lost: float
    ranks: tuple[int, ...]


def lost_energy(core: np.ndarray) -> np.ndarray:
    """Return what ranks (R1, R2, R3) lose, at [R1 - 1, R2 - 1, R3 - 1] (K1 x K2 x K3)."""
    energy = np.square(core).sum(axis=0)
    beyond1 = _beyond(energy.sum(axis=(1, 2)), 0)[:, None, None]
    beyond2 = _beyond(energy.sum(axis=2).cumsum(axis=0), 1)[:, :, None]
    beyond3 = _beyond(energy.cumsum(axis=0).cumsum(axis=1), 2)
    found: np.ndarray = beyond1 + beyond2 + beyond3
    return found


def core_sizes(parts: Sequence[np.ndarray]) -> list[Size]:
    """Return the sizes of a whole decomposition U1, U2, U3, core that none beats, ascending.

    None beats a size that loses less than all that hold no more; full ranks are always the last.
    """
    *factors, core = parts
    lost = lost_energy(core)
    R1, R2, R3 = np.ogrid[tuple(slice(1, k + 1) for k in lost.shape)]
    d, d_h, S = (len(U) for U in factors)
    numbers = d * R1 + d_h * R2 + S * R3 + len(core) * R1 * R2 * R3
    best = _best(numbers.ravel(), lost.ravel())
    at = np.unravel_index(best, lost.shape)
    ranks = np.stack(at, axis=1) + 1
    return _sizes(numbers[at], lost[at], ranks)


def both(first: Sequence[Size], second: Sequence[Size]) -> list[Size]:
    """Return the sizes of two tensors together that none beats, ascending."""
    a, b = _thinned(first), _thinned(second)
    numbers = np.add.outer([s.numbers for s in a], [s.numbers for s in b])
    lost = np.add.outer([s.lost for s in a], [s.lost for s in b])
    best = _best(numbers.ravel(), lost.ravel())
    at = np.unravel_index(best, lost.shape)
    ranks = np.array([a[i].ranks + b[j].ranks for i, j in zip(*at, strict=True)])
    return _sizes(numbers[at], lost[at], ranks)


def offered(sizes: Sequence[Size], dense: int) -> list[Size]:
    """Return at most 64 sizes below the dense one, evenly by numbers, and the full one."""
    full = sizes[-1]
    below = [size for size in sizes[:-1] if size.numbers < dense]
    return [*_even(below, OFFERED - 1), full]


def _thinned(sizes: Sequence[Size]) -> list[Size]:
    return [*_even(sizes[:-1], PAIRED), sizes[-1]]


def _even(sizes: Sequence[Size], count: int) -> list[Size]:
    """Return the last size within each of `count` even steps of numbers, the least one first."""
    if not sizes:
        return []
    held = [size.numbers for size in sizes]
    steps = np.linspace(held[0], held[-1], count)
    chosen = np.unique(np.searchsorted(held, steps, side="right") - 1)
    return [sizes[at] for at in chosen]


def _best(numbers: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Return the positions of what none beats by ascending numbers, and then the last position."""
    order = np.lexsort((lost, numbers))
    least = np.minimum.accumulate(lost[order])
    better = np.append(True, lost[order][1:] < least[:-1])
    last = len(numbers) - 1
    found = order[better]
    return np.append(found[found != last], last)


def _beyond(energy: np.ndarray, axis: int) -> np.ndarray:
    """Return the sum over the positions after each along an axis."""
    tail = np.flip(np.flip(energy, axis).cumsum(axis), axis)
    after = np.take(tail, range(1, tail.shape[axis]), axis)
    none = np.zeros_like(np.take(tail, [0], axis))
    return np.concatenate((after, none), axis)


def _sizes(numbers: np.ndarray, lost: np.ndarray, ranks: np.ndarray) -> list[Size]:
    rows = zip(numbers.tolist(), lost.tolist(), ranks.tolist(), strict=True)
    return [Size(held, gone, tuple(found)) for held, gone, found in rows]
