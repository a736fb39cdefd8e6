"""Row-interpolative form of a product: k of its own rows, and the others as mixtures of them.

W' = B A of rank k has k rows R = W'[p] of which all its rows are combinations: with B = Q T (thin
QR) and pivoted QR of Qᵀ choosing the rows p,

    W'[others] = C R,   C = Q[others] Q[p]⁻¹

C depends on the columns of B only through the space they span, so Q in place of B loses nothing and
its rows are compared on one scale. k(m + n - k) numbers in all, exact for every k <= m.

Cheng, Gimbutas, Martinsson & Rokhlin (2005), https://doi.org/10.1137/030602678
"""

import numpy as np
import scipy.linalg
import torch
from torch import Tensor


def row_interpolation(B: Tensor, A: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return R (k x n), C ((m - k) x k), float64, and the ascending pivots (k,) int32 of B A.

    Raises ValueError where the factors do not meet, or k is above m.
    """
    rows, rank = B.shape
    if A.shape[0] != rank or rank > rows:
        raise ValueError(f"expected B (m x k) and A (k x n), k <= m, got {B.shape} and {A.shape}")
    pivots, C = _chosen(B.detach().double().cpu().numpy())
    chosen = torch.from_numpy(pivots)
    R = B.detach().double()[chosen] @ A.detach().double()
    return R, torch.from_numpy(C), chosen.to(torch.int32)


def _chosen(B: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ascending pivots (k,) and C, whose rows are the other rows in order."""
    rows, rank = B.shape
    if rank == 0:
        return np.empty(0, dtype=np.int64), np.empty((rows, 0))
    Q, _ = np.linalg.qr(B)
    T, order = scipy.linalg.qr(Q.T, mode="r", pivoting=True)
    C = scipy.linalg.solve_triangular(T[:, :rank], T[:, rank:]).T
    by_pivot, by_row = np.argsort(order[:rank]), np.argsort(order[rank:])
    return order[:rank][by_pivot].astype(np.int64), np.ascontiguousarray(C[by_row][:, by_pivot])
