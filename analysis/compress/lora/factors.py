"""The two nested factors of a weight update, whatever the update comes as.

Both functions return B (m x K) and A (K x n), float64, with ΔW_k = B[:, :k] A[:k] the best update
of rank k for every k, in ‖ΔW - ΔW_k‖ or, with G = E[x xᵀ] of the inputs, in ‖(ΔW - ΔW_k) G^½‖. The
columns of B are orthogonal and so are the rows of A (in G). Column and row i have one length: no
digit is lost where they are stored in 16 bits, and both train at one rate.

From stored factors the product is never formed: with B = QR, the best update of rank k is
Q U_k U_kᵀ R A, U the left singular vectors of R A G^½. Those are r x r: of R Sᵀ, where Aᵀ = PS, or
with G the eigenvectors of R A G Aᵀ Rᵀ.

Hu et al. (2022), https://arxiv.org/abs/2106.09685
"""

import torch
from torch import Tensor

from analysis.compress.pieces import Statistics
from analysis.numerics.weighted_truncation import nested_factors

Factors = tuple[Tensor, Tensor]


def extract(W: Tensor, tuned: Tensor, statistics: Statistics | None = None) -> Factors:
    """Return B (m x K) and A (K x n) of tuned - W, K = min(m, n).

    Raises ValueError where the shapes differ.
    """
    if W.shape != tuned.shape:
        raise ValueError(f"expected two matrices of one shape, got {W.shape} and {tuned.shape}")
    return of_update(tuned.double() - W.double(), statistics)


def of_update(delta: Tensor, statistics: Statistics | None = None) -> Factors:
    """Return B (m x K) and A (K x n) of an update that is known whole (m x n)."""
    gram = None if statistics is None else statistics.gram
    return _balanced(*nested_factors(delta.double(), right=gram))


def shrink(B: Tensor, A: Tensor, statistics: Statistics | None = None) -> Factors:
    """Return the nested factors of the update B (m x r) A (r x n): K = min(m, r) of each.

    Raises ValueError for factors that do not meet.
    """
    if B.shape[1] != A.shape[0]:
        raise ValueError(f"expected factors that meet, got {tuple(B.shape)} and {tuple(A.shape)}")
    Q, R = torch.linalg.qr(B.double())  # m x K, K x r
    U = _leading(R, A.double(), None if statistics is None else statistics.gram)
    return _balanced(Q @ U, (U.T @ R) @ A.double())


def energies(B: Tensor, A: Tensor, statistics: Statistics | None = None) -> Tensor:
    """Return what each direction of nested factors adds, (K,): σᵢ² of ΔW, or of ΔW G^½."""
    read = A if statistics is None else A @ statistics.gram
    return B.square().sum(0) * (read * A).sum(1).clamp(min=0)


def _leading(R: Tensor, A: Tensor, gram: Tensor | None) -> Tensor:
    """Return the left singular vectors (K x K) of R A G^½, the greatest first."""
    U: Tensor
    if gram is None:
        S = torch.linalg.qr(A.T, mode="r").R
        U = torch.linalg.svd(R @ S.T).U
    else:
        M = R @ A
        U = torch.linalg.eigh(M @ gram @ M.T).eigenvectors.flip(1)
    return U


def _balanced(B: Tensor, A: Tensor) -> Factors:
    """Give column i of B and row i of A one length; both are zero where the product is."""
    of_B, of_A = B.norm(dim=0), A.norm(dim=1)
    length = (of_B * of_A).sqrt()
    return B * _over(length, of_B), A * _over(length, of_A)[:, None]


def _over(length: Tensor, own: Tensor) -> Tensor:
    return torch.where(own > 0, length / own.clamp(min=torch.finfo(own.dtype).tiny), 0.0)
