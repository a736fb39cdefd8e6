"""The two sides of a matrix whose cuts are asked for: whole, of low rank, or without its noise.

At the left cuts of W = U diag(σ) Vᵀ only its rows are cut, so any X with XXᵀ = WWᵀ has the same
entropies; at the right cuts any Y with YYᵀ = WᵀW. For W = BA of rank r, with B = Q₁R₁ and
Aᵀ = Q₂R₂, the r x r core R₁R₂ᵀ = U diag(σ) Vᵀ gives

    X = Q₁U diag(σ)   m x r,   XXᵀ = B(AAᵀ)Bᵀ
    Y = Q₂V diag(σ)   n x r,   YYᵀ = Aᵀ(BᵀB)A

and the product BA is never made.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from analysis.numerics.entanglement.cuts import Side, gram, side_of
from analysis.numerics.row_blocks import block_rows


@dataclass(frozen=True)
class Sides:
    """How to make each side of a matrix, one at a time, its rows being what is cut."""

    by_rows: Callable[[], Side]
    by_columns: Callable[[], Side]

    @classmethod
    def whole(cls, W: Tensor, unit: float = 1.0) -> Self:
        """Return the sides of all of W, any dtype, its entries divided by `unit`."""
        return cls(lambda: side_of(W, unit), lambda: side_of(W.T, unit))

    @classmethod
    def product(cls, B: Tensor, A: Tensor, rank: int) -> Self:
        """Return the sides of the leading `rank` directions of BA, from factors m x r and r x n."""
        first, R = torch.linalg.qr(B.double() / B.abs().max())
        second, T = torch.linalg.qr(A.T.double() / A.abs().max())
        U, s, Vt = torch.linalg.svd(R @ T.T, full_matrices=False)
        X, Y = first @ (U * s)[:, :rank], second @ (Vt.T * s)[:, :rank]
        return cls(lambda: side_of(X), lambda: side_of(Y))

    @classmethod
    def leading(cls, W: Tensor, rank: int, unit: float = 1.0) -> Self:
        """Return the sides of the leading `rank` directions of W, its entries divided by `unit`.

        By the eigenvectors of the smaller Gram matrix: good for σ well above 1e-7 σ₁, and smaller
        ones weigh nothing in an entropy.
        """
        m, n = W.shape
        if m < n:
            turned = cls.leading(W.T, rank, unit)
            return cls(turned.by_columns, turned.by_rows)
        found = torch.linalg.eigh(gram(W.T, unit))
        V, squares = found.eigenvectors[:, -rank:], found.eigenvalues[-rank:].clamp(min=0.0)
        step = block_rows(n)
        blocks = (W[start : start + step].double() / unit for start in range(0, m, step))
        X, Y = torch.cat([rows @ V for rows in blocks]), V * squares.sqrt()
        return cls(lambda: side_of(X), lambda: side_of(Y))
