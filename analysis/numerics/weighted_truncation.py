"""The best rank-k form of W under weights on its inputs and its outputs, for all k at once.

Minimise ‖L^½ (W - W') R^½‖_F over W' (m x n) of rank k, with L (m x m) and R (n x n) positive
semidefinite. With H any root HᵀH = L, F any root FFᵀ = R, and U the left singular vectors of H W F,

    W'_k = B[:, :k] A[:k],   B = H⁻¹U (m x K),   A = UᵀHW (K x n),   K = min(m, n),

and the squared error is Σ_{i>k} σᵢ²(HWF). R is never inverted, so it may be singular; without L
nothing is (B = U, A = UᵀW: U holds the eigenvectors of W R Wᵀ). U is kept orthogonal within the
columns of HW, so that BA = W at k = K whatever R is: beyond the rank of HWF the directions follow
that keep most of HW itself.

U comes from eigh of the smaller Gram matrix where its spectrum certifies it: eigenvectors of
MMᵀ + E with ‖E‖ about eps·σ₁² lose nothing that counts while σ_K >= 1e-5 σ₁ (measured: the error
stays within 1e-12 ‖M‖ of the tail down to 1e-6 σ₁, and is 6e-9 ‖M‖ off at 1e-8). Otherwise U comes
from an SVD of HWF, with F from a Cholesky factor of R after its diagonal was scaled to one, which
channels a thousand times larger than the others do not disturb.

Eckart & Young (1936), https://doi.org/10.1007/BF02288367
Wang et al. (2024), https://arxiv.org/abs/2403.07378 (SVD-LLM: L = I, R = XXᵀ)
"""

import torch
from torch import Tensor

EPS = torch.finfo(torch.float64).eps
CERTIFIED = 1e-5  # of σ_K / σ₁, from where on eigh of the Gram matrix is as good as an SVD
LEFT_RIDGE = 1e-6  # of the mean eigenvalue of L, added to it so that H can be inverted


def nested_factors(
    W: Tensor, left: Tensor | None = None, right: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return B (m x K) and A (K x n), float64, so that B[:, :k] A[:k] is the best of rank k.

    `left` and `right` are L and R: None for the identity, their diagonals (m,) and (n,), or whole.
    To L is added 1e-6 tr(L)/m · I. Raises ValueError where shapes do not fit, for values that are
    not finite, and for a weight that is not positive semidefinite.
    """
    check(W, left, right)
    W = W.to(torch.float64)
    H = None if left is None else _invertible_root(left.to(torch.float64))
    Q, T = _within_columns(_weighted(H, W))
    U = _leading_first(T, None if right is None else right.to(torch.float64))
    B = U if Q is None else Q @ U
    return _unweighted(H, B), U.T @ T


def check(W: Tensor, left: Tensor | None, right: Tensor | None) -> None:
    """Raise ValueError unless W and its weights fit each other and are finite."""
    if W.ndim != 2:
        raise ValueError(f"expected a matrix, got a tensor of shape {tuple(W.shape)}")
    if not W.isfinite().all():
        raise ValueError("expected a finite matrix, got NaN or infinity in it")
    for side, weight, size in (("left", left, W.shape[0]), ("right", right, W.shape[1])):
        if weight is None:
            continue
        if weight.shape not in ((size,), (size, size)):
            expected, got = f"({size},) or ({size}, {size})", tuple(weight.shape)
            raise ValueError(f"expected a {side} weight of shape {expected}, got {got}")
        diagonal = weight if weight.ndim == 1 else weight.diagonal()
        if not weight.isfinite().all() or (diagonal < 0).any():
            raise ValueError(f"expected a {side} weight that is finite and positive semidefinite")


def _invertible_root(left: Tensor) -> Tensor:
    """Return H with HᵀH = L + ridge: the square roots (m,) of a diagonal, or upper triangular."""
    size = len(left)
    mean = left.sum() / size if left.ndim == 1 else left.trace() / size
    ridge = LEFT_RIDGE * mean if mean > 0 else 1.0  # of an L of zeros only the ridge is left
    if left.ndim == 1:
        return (left + ridge).sqrt()
    raised = left + ridge * torch.eye(size, dtype=left.dtype, device=left.device)
    root: Tensor
    root, failed = torch.linalg.cholesky_ex(raised, upper=True)
    if failed:
        raise ValueError("expected a left weight that is positive semidefinite, got one that isn't")
    return root


def _weighted(H: Tensor | None, W: Tensor) -> Tensor:
    if H is None:
        return W
    return H[:, None] * W if H.ndim == 1 else H @ W


def _unweighted(H: Tensor | None, B: Tensor) -> Tensor:
    if H is None:
        return B
    return B / H[:, None] if H.ndim == 1 else torch.linalg.solve_triangular(H, B, upper=True)


def _within_columns(HW: Tensor) -> tuple[Tensor | None, Tensor]:
    """Return Q with orthonormal columns and T (K x n), HW = QT; no Q is needed where m <= n.

    No matrix of m x m is made of a tall HW, and what follows stays inside its columns.
    """
    if HW.shape[0] <= HW.shape[1]:
        return None, HW
    Q, T = torch.linalg.qr(HW)
    return Q, T


def _leading_first(T: Tensor, R: Tensor | None) -> Tensor:
    """Return all left singular vectors of T R^½ as an orthogonal matrix (K x K), largest first."""
    U = _by_gram(T, R)
    if U is not None:
        return U
    U, s = _by_svd(_times_root(T, R))
    rank = int((s > max(T.shape) * EPS * s[0]).sum())
    if rank < len(T):
        rest = U[:, rank:]  # R sees nothing here: sort it by what is left of T itself
        U = torch.cat([U[:, :rank], rest @ _by_svd(rest.T @ T)[0]], dim=1)
    return U


def _by_gram(T: Tensor, R: Tensor | None) -> Tensor | None:
    """Return the eigenvectors of T R Tᵀ, largest first, or None where they are not certain."""
    TR = T if R is None else T * R if R.ndim == 1 else T @ R
    values, vectors = torch.linalg.eigh(TR @ T.T)
    certain = values[0] > CERTIFIED**2 * values[-1]  # False as well where they are all zero
    return vectors.flip(1) if certain else None


def _by_svd(M: Tensor) -> tuple[Tensor, Tensor]:
    """Return all left singular vectors (K x K) and the singular values of M (K x n)."""
    if M.shape[1] > M.shape[0]:
        M = torch.linalg.qr(M.T, mode="r").R.T  # the same U, of a square matrix
    U, s, _ = torch.linalg.svd(M)
    return U, s


def _times_root(T: Tensor, R: Tensor | None) -> Tensor:
    if R is None:
        return T
    return T * R.sqrt() if R.ndim == 1 else T @ scaled_root(R)


def scaled_root(R: Tensor) -> Tensor:
    """Return F with FFᵀ = R (n x n): of the matrix with ones on its diagonal, scaled back.

    A Cholesky factor; where R is singular, the eigenvectors above rounding times √λ (n x r). Raises
    ValueError for an eigenvalue that is clearly negative.
    """
    scale = R.diagonal().sqrt()
    inverse = torch.where(scale > 0, 1 / scale, 0.0)
    C = inverse[:, None] * R * inverse
    C.diagonal()[:] = 1.0  # also of channels that are never used: the scale removes them
    root, failed = torch.linalg.cholesky_ex(C)
    rounding = len(R) * EPS
    if failed or root.diagonal().square().min() < 8 * rounding:
        values, vectors = torch.linalg.eigh(C)
        if values[0] < -1e-6 * values[-1]:
            raise ValueError("expected a right weight that is positive semidefinite")
        kept = values > rounding * values[-1]
        root = vectors[:, kept] * values[kept].sqrt()
    found: Tensor = scale[:, None] * root
    return found
