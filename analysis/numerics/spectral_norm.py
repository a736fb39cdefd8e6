"""The largest singular value alone, by Lanczos, and the stable rank that follows from it.

Lehoucq, Sorensen & Yang (1998), ARPACK: https://doi.org/10.1137/1.9780898719628
Stable rank: Rudelson & Vershynin (2007), https://arxiv.org/abs/math/0503442
"""

from collections.abc import Mapping

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor

# Of σ₁², relative. Weights come in single precision or less, so no more of σ₁² is known.
TOLERANCE = float(np.finfo(np.float32).eps)
FEW = 20  # up to so many rows or columns Lanczos would span the whole space


class NoStableRank(ValueError):  # noqa: N818  a finding, not a fault
    """A matrix is all zero, or has an entry that is not finite."""


def spectral_norm(W: Tensor, seed: int = 0) -> float:
    """Return σ₁ of W (m, n, ...) read as m rows; the seed draws Lanczos' first vector.

    Iterates on the smaller Gram matrix G = A Aᵀ until |G v - θ v| <= 1.2e-7 θ, which bounds the
    relative error of σ₁² = θ. Raises NoStableRank for an entry that is not finite.
    """
    return _norm(*_scaled(W), seed)


def stable_rank(W: Tensor, seed: int = 0) -> float:
    """Return |W|_F²/σ₁² of W (m, n, ...) read as m rows, between 1 and min(m, n).

    Raises NoStableRank for an entry that is not finite, and for a matrix that is all zero.
    """
    A, unit = _scaled(W)
    if unit == 0:
        raise NoStableRank("every entry is zero")
    ratio = float(np.vdot(A, A)) / _norm(A, 1.0, seed) ** 2
    # Rounding must not take a matrix of rank one below 1, which would be no rank at all.
    return min(max(ratio, 1.0), float(min(A.shape)))


def stable_ranks(tensors: Mapping[str, Tensor | None]) -> dict[str, float | None]:
    """Return the stable rank of each tensor, None for one that has none."""
    found: dict[str, float | None] = {}
    for name, tensor in tensors.items():
        try:
            found[name] = None if tensor is None else stable_rank(tensor)
        except NoStableRank:
            found[name] = None
    return found


def _scaled(W: Tensor) -> tuple[np.ndarray, float]:
    """Return a float64 copy (m, n) with the largest entry 1, so that no square overflows."""
    A = W.detach().flatten(1).to("cpu", torch.float64, copy=True).numpy()
    unit = max(float(A.max(initial=0.0)), -float(A.min(initial=0.0)))
    if not np.isfinite(unit):
        raise NoStableRank("it holds NaN or infinity")
    if unit:
        A /= unit  # in place: the one copy that is made
    return A, unit


def _norm(A: np.ndarray, unit: float, seed: int) -> float:
    if unit == 0 or min(A.shape) <= FEW:
        return unit * float(np.linalg.norm(A, 2))
    wide = A if A.shape[0] <= A.shape[1] else A.T
    gram = LinearOperator(
        (len(wide), len(wide)), matvec=lambda v: wide @ (wide.T @ v), dtype=A.dtype
    )
    start = np.random.default_rng(seed).standard_normal(len(wide))
    top = eigsh(gram, k=1, v0=start, tol=TOLERANCE, return_eigenvectors=False)
    return unit * float(np.sqrt(top[0]))
