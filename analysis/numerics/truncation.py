"""Truncated singular value decomposition: the best approximation of a given rank.

Eckart & Young (1936), https://doi.org/10.1007/BF02288367
"""

import torch
from torch import Tensor


def balanced_factors(W: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Return B = U√S (m x k) and A = √S Vᵀ (k x n), so that BA is the best rank-k form of W.

    ‖W - BA‖_F² = Σ_{i>k} σᵢ². Computed in float64 and returned in the dtype of W. Raises ValueError
    unless 0 <= rank <= min(m, n).
    """
    if not 0 <= rank <= min(W.shape):
        raise ValueError(f"expected a rank from 0 to {min(W.shape)}, got {rank}")
    U, s, Vt = torch.linalg.svd(W.to(torch.float64), full_matrices=False)
    root = s[:rank].sqrt()
    return (U[:, :rank] * root).to(W.dtype), (root[:, None] * Vt[:rank]).to(W.dtype)
