"""Spectra of all cuts of a chain of sites, by partial traces of two Gram matrices.

A chain of sites d_1 ... d_s in row-major order has the cuts D = d_1···d_l, l < s. Where the chain
is one side of a matrix X (L x k, L = d_1···d_s rows, k columns that stay outside), the entropy at D
is that of the matrix reshaped to D x (L/D)k. Gram matrices of neighbouring cuts are partial traces
of each other, so two of them give every cut: the left one at the largest D with D² <= Lk,

    ρ_D[i, i'] = Σ_j ρ[(i, j), (i', j)]                       tracing out the last sites,

and the right one, of size Lk/D, at the smallest D beyond, tracing out the first sites. None is
larger than √(Lk), where the Gram matrix of all L rows would take L² numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from math import nan, prod
from operator import mul
from typing import Protocol, Self

import torch
from torch import Tensor

from analysis.numerics.entanglement.entropy import entropy
from analysis.numerics.row_blocks import block_rows

Sites = tuple[int, ...]


def prime_factors(n: int) -> Sites:
    """Return the prime factors of n >= 1 in ascending order, () for 1."""
    found, divisor = [], 2
    while divisor * divisor <= n:
        while n % divisor == 0:
            found.append(divisor)
            n //= divisor
        divisor += 1
    return (*found, n) if n > 1 else tuple(found)


def left_dimensions(sites: Sites) -> list[int]:
    """Return d_1···d_l of every cut l = 1 ... s-1."""
    return list(accumulate(sites[:-1], mul))


def reversed_order(sites: Sites) -> Tensor:
    """Return which row of L is where when the order of the sites is turned around.

    The last sites of a chain are the first ones of the turned chain.
    """
    return torch.arange(prod(sites)).reshape(sites).permute(*range(len(sites))[::-1]).reshape(-1)


class Side(Protocol):
    """One side of a matrix, of which the entropies of all cuts can be asked."""

    def at(self, order: Tensor) -> Self:
        """Return the side with its rows in another order."""

    def entropies(self, sites: Sites, largest: int) -> list[float]:
        """Return the entropy at each of `left_dimensions`, nats.

        NaN where the smaller side of a cut is beyond `largest`.
        """


def side_of(X: Tensor, unit: float = 1.0) -> Side:
    """Return the rows of X, L x k, as a side: its Gram matrix, or where L > k its entries.

    Entries are divided by `unit`, which keeps their squares inside float64.
    """
    rows, columns = X.shape
    return ByGram(gram(X, unit)) if rows <= columns else ByEntries(X, unit)


@dataclass(frozen=True)
class ByGram:
    """A side by its Gram matrix ρ = XXᵀ, L x L, float64."""

    rho: Tensor

    def at(self, order: Tensor) -> Self:
        """Return the side with its rows in another order."""
        return type(self)(self.rho[order][:, order])

    def entropies(self, sites: Sites, largest: int) -> list[float]:
        """Return the entropy at each of `left_dimensions`, nats."""
        lefts, rho, found = left_dimensions(sites), self.rho, {}
        for left in reversed([left for left in lefts if left <= largest]):
            rho = without_last(rho, left)
            found[left] = spectrum_entropy(rho)
        return [found.get(left, nan) for left in lefts]


@dataclass(frozen=True)
class ByEntries:
    """A side by its entries X, L x k, in any dtype."""

    X: Tensor
    unit: float = 1.0

    def at(self, order: Tensor) -> Self:
        """Return the side with its rows in another order."""
        return type(self)(self.X[order], self.unit)

    def entropies(self, sites: Sites, largest: int) -> list[float]:
        """Return the entropy at each of `left_dimensions`, nats."""
        lefts = left_dimensions(sites)
        found = dict(self._by_left(lefts, largest)) | dict(self._by_right(lefts, largest))
        return [found.get(left, nan) for left in lefts]

    def _by_left(self, lefts: list[int], largest: int) -> Iterator[tuple[int, float]]:
        kept = smaller_on_the_left(lefts, self.X.numel(), largest)
        if not kept:
            return
        rho = gram(self.X.reshape(kept[-1], -1), self.unit)
        for left in reversed(kept):
            rho = without_last(rho, left)
            yield left, spectrum_entropy(rho)

    def _by_right(self, lefts: list[int], largest: int) -> Iterator[tuple[int, float]]:
        kept = smaller_on_the_right(lefts, self.X.numel(), largest)
        if not kept:
            return
        rho = gram(self.X.reshape(kept[0], -1).T, self.unit)
        for left in kept:
            rho = without_first(rho, self.X.numel() // left)
            yield left, spectrum_entropy(rho)


def smaller_on_the_left(lefts: list[int], entries: int, largest: int) -> list[int]:
    """Return the cuts D with D <= entries/D, as far as D <= largest."""
    return [left for left in lefts if left * left <= entries and left <= largest]


def smaller_on_the_right(lefts: list[int], entries: int, largest: int) -> list[int]:
    """Return the cuts D with D > entries/D, as far as entries/D <= largest."""
    return [left for left in lefts if left * left > entries and entries // left <= largest]


def gram(X: Tensor, unit: float = 1.0) -> Tensor:
    """Return XXᵀ of X/unit in float64, summed over blocks of columns."""
    rows, columns = X.shape
    found = torch.zeros(rows, rows, dtype=torch.float64)
    step = block_rows(rows)
    for start in range(0, columns, step):
        block = X[:, start : start + step].to(torch.float64)
        block = block / unit if unit != 1 else block
        found.addmm_(block, block.T)
    return found


def without_last(rho: Tensor, keep: int) -> Tensor:
    """Return the partial trace over all but the first sites, of dimension `keep`."""
    lost = len(rho) // keep
    return rho.view(keep, lost, keep, lost).diagonal(dim1=1, dim2=3).sum(-1)


def without_first(rho: Tensor, keep: int) -> Tensor:
    """Return the partial trace over all but the last sites, of dimension `keep`."""
    lost = len(rho) // keep
    return rho.view(lost, keep, lost, keep).diagonal(dim1=0, dim2=2).sum(-1)


def spectrum_entropy(rho: Tensor) -> float:
    """Return the entropy of the eigenvalues of a density matrix, whatever its trace."""
    return float(entropy(torch.linalg.eigvalsh(rho)))
