"""Lanczos' method with full re-orthogonalisation: a Gauss quadrature of a matrix's spectrum.

From a start v, m products with a symmetric A build a tridiagonal T = Qᵀ A Q. Its eigenvalues θ_i
and the squares τ_i of its eigenvectors' first entries satisfy Σ τ_i g(θ_i) = vᵀg(A)v / vᵀv for all
polynomials g of degree up to 2m - 1. Golub and Meurant (1994), https://doi.org/10.1137/1.9781611973833

A start that meets d distinct eigenvalues ends after d steps, and the quadrature is then exact. That
end is a residual small against A itself. The Lanczos of the linear_operator package stops at an
absolute 1e-6, where the Hessian of one weight matrix of a trained transformer has begun: scaled by
1e-8, a matrix of rank 25 gets rank 70 from it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

Product = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Quadrature:
    """Nodes θ (m,) ascending, weights τ >= 0 (m,) that sum to 1, and the T they come from."""

    nodes: np.ndarray
    weights: np.ndarray
    diagonal: np.ndarray  # (m,)
    beside: np.ndarray  # (m - 1,)
    exhausted: bool  # the start's Krylov space ended: the nodes are eigenvalues

    def after(self, steps: int) -> "Quadrature":
        """Return what the first `steps` steps gave; one that is exhausted is kept as it is."""
        if self.exhausted or steps >= len(self.diagonal):
            return self
        return _quadrature(self.diagonal[:steps], self.beside[: steps - 1], exhausted=False)


def lanczos(product: Product, start: Tensor, steps: int) -> Quadrature:
    """Return the quadrature of at most `steps` products with a symmetric matrix.

    `start` (p,) is not zero; its dtype is that of all vectors.
    """
    size, eps = len(start), torch.finfo(start.dtype).eps
    steps = min(steps, size)
    basis = start.new_empty(steps, size)
    basis[0] = start / start.norm()
    diagonal, beside = np.zeros(steps), np.zeros(steps)
    for k in range(steps):
        r = product(basis[k])
        diagonal[k] = float(r @ basis[k])
        made = basis[: k + 1]
        for _ in range(2):  # twice is enough (Giraud et al. 2005), whatever the first one lost
            r = r - made.T @ (made @ r)
        beside[k] = float(r.norm())
        scale = np.abs(diagonal[: k + 1]).max() + beside[: k + 1].max(initial=0.0)
        if beside[k] <= size * eps * scale:
            return _quadrature(diagonal[: k + 1], beside[:k], exhausted=True)
        if k + 1 < steps:
            basis[k + 1] = r / beside[k]
    return _quadrature(diagonal, beside[:-1], exhausted=steps == size)


def _quadrature(diagonal: np.ndarray, beside: np.ndarray, *, exhausted: bool) -> Quadrature:
    nodes, vectors = scipy.linalg.eigh_tridiagonal(diagonal, beside)
    return Quadrature(nodes, vectors[0] ** 2, diagonal, beside, exhausted)
