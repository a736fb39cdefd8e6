"""A Hessian as a dense matrix with its two parts, and its rank with the gap behind it.

The rank of a symmetric matrix is #{|λ| > |λ|_max p eps}, as `matrix_rank(hermitian=True)` counts
it; it is sharp in float64 only (https://arxiv.org/abs/2106.16225, section 5).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from analysis.numerics.hessian.products import HessianProducts


@dataclass(frozen=True, eq=False)
class Eigenvalues:
    """The eigenvalues of a symmetric matrix, descending by size, and the count above rounding."""

    values: np.ndarray  # (p,) signed, |λ_1| >= |λ_2| >= ...
    threshold: float  # |λ_1| p eps
    rank: int

    @property
    def last(self) -> float | None:
        """|λ_r|, the smallest eigenvalue that counts; None for a zero matrix."""
        return float(abs(self.values[self.rank - 1])) if self.rank else None

    @property
    def next(self) -> float | None:
        """|λ_{r+1}|, the largest that does not; None where all count."""
        return float(abs(self.values[self.rank])) if self.rank < len(self.values) else None

    @property
    def gap(self) -> float | None:
        """|λ_r| / |λ_{r+1}|; None where either is not there or the lower one is zero."""
        return self.last / self.next if self.last and self.next else None

    def above(self, share: float) -> int:
        """Return how many exceed this share of the largest."""
        size = np.abs(self.values)
        return int((size > share * size[0]).sum())


@dataclass(frozen=True, eq=False)
class Split:
    """The dense parts of a Hessian, each (p, p)."""

    outer: Tensor
    functional: Tensor


def dense(products: HessianProducts, tick: Callable[[], None]) -> Split:
    """Return H_O and H_F from p products with unit vectors; `tick` is called after each."""
    size = products.size
    outer = products.like.new_empty(size, size)
    functional = torch.empty_like(outer)
    unit = products.like.new_zeros(size)
    for i in range(size):
        unit[i] = 1
        outer[i], functional[i] = products.parts(unit)
        unit[i] = 0
        tick()
    return Split(outer, functional)


def eigenvalues(matrix: Tensor) -> Eigenvalues:
    """Return the eigenvalues of a symmetric matrix (p, p), with the rank in its own dtype."""
    found = torch.linalg.eigvalsh(matrix.cpu())
    eps = torch.finfo(found.dtype).eps
    values = found.double().numpy()
    values = values[np.argsort(-np.abs(values), kind="stable")]
    threshold = float(abs(values[0])) * len(values) * eps
    return Eigenvalues(values, threshold, int((np.abs(values) > threshold).sum()))
