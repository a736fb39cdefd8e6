"""What the cuts of a matrix would show if only its spectrum, or only its values, were kept.

Two seeded controls of an m x n matrix W = U diag(σ) Vᵀ of rank k:

    isospectral   the same σ between random orthogonal U and V (Haar, by QR of Gaussians)
    permuted      the rows of W, and its columns, in random orders

Left cuts depend on U diag(σ) alone and right cuts on V diag(σ) alone, so the two sides are drawn
apart and no product is made. Both leave the row|column cut as it is. A shuffle of single entries
would destroy the spectrum and is no control.
"""

from collections.abc import Iterator
from math import prod

import numpy as np
import torch
from torch import Tensor

from analysis.numerics.entanglement.cuts import (
    ByEntries,
    Side,
    Sites,
    left_dimensions,
    smaller_on_the_left,
    smaller_on_the_right,
)

FEWEST = 3  # draws: fewer have no spread to speak of


def isospectral(
    values: np.ndarray, sites: Sites, *, draws: int, seed: list[int], largest: int
) -> np.ndarray:
    """Return (draws, cuts) entropies of one side with singular values σ and random vectors."""
    scale = torch.from_numpy(values / values[0])
    length = prod(sites)
    generator = np.random.default_rng(seed)
    found = [
        ByEntries(random_frame(length, len(values), generator) * scale).entropies(sites, largest)
        for _ in range(draws)
    ]
    return np.array(found).reshape(draws, len(left_dimensions(sites)))


def permuted(side: Side, sites: Sites, *, draws: int, seed: list[int], largest: int) -> np.ndarray:
    """Return (draws, cuts) entropies of one side with its rows in random orders."""
    generator, length = np.random.default_rng(seed), prod(sites)
    orders = (torch.from_numpy(generator.permutation(length)) for _ in range(draws))
    found = [side.at(order).entropies(sites, largest) for order in orders]
    return np.array(found).reshape(draws, len(left_dimensions(sites)))


def random_frame(length: int, count: int, generator: np.random.Generator) -> Tensor:
    """Return `count` orthonormal columns of the given length, uniform but for their signs."""
    normal = torch.from_numpy(generator.standard_normal((length, count)))
    frame: Tensor = torch.linalg.qr(normal).Q
    return frame


def departure(own: np.ndarray, drawn: np.ndarray) -> tuple[float, float, float | None]:
    """Return how far the entropies of a matrix lie from its controls', over the cuts given.

    With T(S) the mean over the cuts of |S - mean of the draws|: T of the matrix in nats; the same
    mean without the bars (below zero: less entangled than the controls); and T in standard
    deviations, (T - mean T_i) / sd T_i, where T_i is the same of draw i against the other draws.
    The last is 0 ± 1 for a matrix like its controls and None where the draws do not differ.
    """
    count = len(drawn)
    signed = own - drawn.mean(axis=0)
    # Draw i against the mean of the others: (n/(n-1)) times against the mean of all.
    among = np.abs(drawn - drawn.mean(axis=0)).mean(axis=1) * count / (count - 1)
    far, spread = float(np.abs(signed).mean()), float(among.std(ddof=1))
    noise = 1e-12 * max(1.0, float(np.abs(own).max()))
    deviations = (far - float(among.mean())) / spread if spread > noise else None
    return far, float(signed.mean()), deviations


def operations_of_a_draw(rows_sites: Sites, columns_sites: Sites, rank: int, largest: int) -> float:
    """Return roughly how many floating-point operations one draw of both controls takes."""
    sides = ((rows_sites, columns_sites), (columns_sites, rows_sites))
    return sum(_operations(own, prod(other), rank, largest) for own, other in sides)


def operations_of_the_cuts(rows_sites: Sites, columns_sites: Sites, largest: int) -> float:
    """Return roughly how many operations the cuts of the matrix itself take."""
    m, n = prod(rows_sites), prod(columns_sites)
    grams = 2.0 * m * n * min(m, n) * 2
    return grams + sum(_of_cuts(own, m * n, largest) for own in (rows_sites, columns_sites))


def most_of_a_gram(sites: Sites, entries: int, largest: int) -> int:
    """Return the size of the largest Gram matrix of one side's cuts, 0 where it has none."""
    return max((sizes[0] for sizes in _sizes(sites, entries, largest)), default=0)


def _operations(sites: Sites, other: int, rank: int, largest: int) -> float:
    length = prod(sites)
    frame = 4.0 * length * rank**2
    shuffled = _of_cuts(sites, length * min(other, rank), largest)
    return frame + _of_cuts(sites, length * rank, largest) + shuffled


def _of_cuts(sites: Sites, entries: int, largest: int) -> float:
    """Return the operations of two Gram matrices of a side and all eigenvalues."""
    return sum(
        2.0 * kept[0] * entries + 3.0 * sum(float(size) ** 3 for size in kept)
        for kept in _sizes(sites, entries, largest)
    )


def _sizes(sites: Sites, entries: int, largest: int) -> Iterator[list[int]]:
    """Yield the sizes of the matrices on either way, the largest first."""
    lefts = left_dimensions(sites)
    by_left = smaller_on_the_left(lefts, entries, largest)[::-1]
    by_right = [entries // left for left in smaller_on_the_right(lefts, entries, largest)]
    yield from (sizes for sizes in (by_left, by_right) if sizes)
