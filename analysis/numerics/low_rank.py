"""A product W = s·BA that is never formed whole: its singular values, its rounding, its vectors.

With B = Q₁R₁ (m x r) and Aᵀ = Q₂R₂ (n x r), W = Q₁ (s·R₁R₂ᵀ) Q₂ᵀ, so the singular values of W are
those of the r x r core s·R₁R₂ᵀ, and the other min(m, n) - r are zero. Each is exact to about
eps64 · ‖B‖₂‖A‖₂.

The noise floor comes from the stored digits of the factors, for W itself was never rounded. With
errors E and F of rounding, (B + E)(A + F) - BA = EA + BF but for a term of second order, and the
two are independent, so that

    ε = |s| · hypot(‖E‖₂ ‖A‖₂, ‖B‖₂ ‖F‖₂),

where the bounds on ‖E‖₂ and ‖F‖₂ are those of `noise_floor`, each with its factor's own effective
format. Factors in bfloat16 thus say nothing about singular values below about 1 % of ‖B‖₂‖A‖₂.

LoRA: Hu et al. (2022), https://arxiv.org/abs/2106.09685
"""

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from analysis.numerics.noise_floor import coarsest, rounding
from analysis.numerics.row_blocks import Rows, assembled


class LowRank:
    """`Rows` of scale · left @ right, left (m x r) and right (r x n); rows are float64 products."""

    def __init__(self, left: Rows, right: Rows, scale: float = 1.0) -> None:
        if left.shape[1] != right.shape[0]:
            raise ValueError(f"expected factors that meet, got {left.shape} and {right.shape}")
        self.rounded = (left, right)
        self.scale = scale

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the product."""
        return self.rounded[0].shape[0], self.rounded[1].shape[1]

    @property
    def dtype(self) -> torch.dtype:
        """Of the rows: float64, whatever the factors are stored in."""
        return torch.float64

    @property
    def stored_bytes(self) -> int:
        """Bytes of both factors as stored."""
        return sum(f.shape[0] * f.shape[1] * f.dtype.itemsize for f in self.rounded)

    def rows(self, start: int, stop: int) -> Tensor:
        """Return rows start to stop of the product."""
        left, right = self.factors
        return left[start:stop] @ right

    @cached_property
    def factors(self) -> tuple[Tensor, Tensor]:
        """B (m x r) with the scale in it, and A (r x n), both float64."""
        left, right = (assembled(factor).double() for factor in self.rounded)
        return left * self.scale, right

    def singular_values(self) -> np.ndarray:
        """Return all min(m, n) singular values in descending order; those beyond r are zero."""
        (_, first), (_, second) = self._triangles
        found = torch.linalg.svdvals(first @ second.T).numpy()
        values = np.zeros(min(self.shape))
        values[: len(found)] = found
        return values

    def error(self) -> tuple[float, str]:
        """Return the bound ε on what the rounding of the factors does, and the coarser format."""
        left, right = (rounding([assembled(factor)]) for factor in self.rounded)
        # The left factor has the scale in it; its stored digits have not.
        norms = [torch.linalg.matrix_norm(R, 2).item() for _, R in self._triangles]
        bound = float(np.hypot(abs(self.scale) * left.norm * norms[1], norms[0] * right.norm))
        return bound, coarsest([left, right])

    def leading_vectors(self, count: int) -> tuple[Tensor, Tensor]:
        """Return U (m x k) and V (n x k), float64: the leading k = `count` vectors as columns.

        The largest entry of each column of V is positive.
        """
        (first, R), (second, S) = self._triangles
        left, _, right = torch.linalg.svd(R @ S.T, full_matrices=False)
        U, V = first @ left[:, :count], second @ right[:count].T
        sign = V.gather(0, V.abs().argmax(0, keepdim=True)).sign()
        return U * sign, V * sign

    @cached_property
    def _triangles(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        left, right = self.factors
        Q, R = torch.linalg.qr(left)
        P, S = torch.linalg.qr(right.T)
        return (Q, R), (P, S)
