"""Singular values in float64, of matrices read in blocks of rows.

Two methods, and a rule between them. The eigenvalues of the Gram matrix G = WᵀW (n x n, summed
over row blocks) are fast, but every one of them carries an error of about

    δ = max(m, n) · eps64 · λ₁

(the probabilistic bound of Higham and Mary for m-term inner products, 2√(mn) u · λ₁ at most, and
the backward error of the eigensolver; the deterministic bound is √n to n times larger and never
seen). A small σ = √λ is then off by δ / 2σ, and by √δ where λ is below δ: below about 1e-7 σ₁ a
Gram matrix knows nothing. So it is *certified*, and used, only when for every i

    error of σᵢ  <=  max(1e-6 · σᵢ, resolution)   and   λᵢ > δ

where `resolution` is a hundredth of the noise floor that the stored digits of W have anyway, and
where no product in G has left float64's range. Otherwise the values come from `svdvals`, whose
error is about eps64 · σ₁ on each: of W itself, or of the R of a blocked QR where W is tall, so that
no float64 copy of W is ever made.

Higham & Mary (2019), https://doi.org/10.1137/18M1226312
Demmel, Grigori, Hoemmen & Langou (2012), https://arxiv.org/abs/0808.2664 (blocked QR)
"""

import numpy as np
import torch
from torch import Tensor

from analysis.numerics.row_blocks import Blocks, in_float64

EPS = float(np.finfo(np.float64).eps)
RELATIVE_ERROR = 1e-6
SAFE_TRACE = (1e-280, 1e280)  # of G: outside, products that underflow weigh as δ, or overflow
TALL = 2  # from this aspect ratio on, QR before the SVD is no slower than the SVD alone


def singular_values(
    blocks: Blocks, shape: tuple[int, int], *, resolution: float = 0.0, device: str = "cpu"
) -> np.ndarray:
    """Return all n singular values of an m x n matrix, m >= n, in descending order.

    `resolution` is the absolute error that does no harm (see the module). Raises ValueError when
    m < n.
    """
    if shape[0] < shape[1]:
        raise ValueError(f"expected at least as many rows as columns, got {shape}")
    values = gram_singular_values(blocks, shape, resolution=resolution, device=device)
    return qr_singular_values(blocks, shape, device=device) if values is None else values


def gram_singular_values(
    blocks: Blocks, shape: tuple[int, int], *, resolution: float = 0.0, device: str = "cpu"
) -> np.ndarray | None:
    """Return √eig(WᵀW) in descending order, or None when its error bound does not certify it."""
    gram = _gram(blocks, device)
    if not SAFE_TRACE[0] < gram.trace() < SAFE_TRACE[1]:  # nor where it is NaN
        return None
    eigenvalues: np.ndarray = torch.linalg.eigvalsh(gram).flip(0).cpu().numpy()
    values: np.ndarray = np.sqrt(np.maximum(eigenvalues, 0.0))
    known = values**2 > gram_delta(values, shape)
    exact = gram_error(values, shape) <= np.maximum(RELATIVE_ERROR * values, resolution)
    return values if (known & exact).all() else None


def gram_delta(values: np.ndarray, shape: tuple[int, int]) -> float:
    """Return δ, the error of every eigenvalue of the Gram matrix."""
    return float(max(shape) * EPS * values[0] ** 2)


def gram_error(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the bound on the error of each σ taken from a Gram matrix: min(δ / 2σ, √δ)."""
    delta = gram_delta(values, shape)
    error: np.ndarray = np.minimum(delta / (2 * np.maximum(values, 1e-300)), np.sqrt(delta))
    return error


def qr_singular_values(
    blocks: Blocks, shape: tuple[int, int], *, device: str = "cpu"
) -> np.ndarray:
    """Return the singular values of W, or of its R where W is tall: each to about eps64 · σ₁."""
    source = (
        blocked_r(blocks, device) if shape[0] >= TALL * shape[1] else _whole(blocks, shape, device)
    )
    values: np.ndarray = torch.linalg.svdvals(source).cpu().numpy()
    return values


def blocked_r(blocks: Blocks, device: str = "cpu") -> Tensor:
    """Return the n x n factor R of W = QR in float64, one block of rows at a time."""
    triangle: Tensor | None = None
    for rows in in_float64(blocks(), device):
        stacked = rows if triangle is None else torch.cat([triangle, rows])
        triangle = torch.linalg.qr(stacked, mode="r").R
    if triangle is None:
        raise ValueError("expected at least one block of rows, got none")
    return triangle


def leading_vectors(
    blocks: Blocks, count: int, *, unit: float = 1.0, device: str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Return U (m x k) and V (n x k), float64: the leading k = `count` singular vectors as columns.

    Entries are divided by `unit`, which keeps the squares of extreme ones inside float64.
    V from the eigenvectors of WᵀW, U = WV/σ: good for σ well above 1e-7 σ₁, which is the caller's
    to see to. The sign makes the largest entry of each column of V positive.
    """
    gram = _gram(blocks, device, unit)
    V = torch.linalg.eigh(gram).eigenvectors.flip(1)[:, :count]
    V = V * V.gather(0, V.abs().argmax(0, keepdim=True)).sign()
    U = torch.cat([rows.div_(unit) @ V for rows in in_float64(blocks(), device)])
    return (U / torch.linalg.vector_norm(U, dim=0)).cpu(), V.cpu()


def _gram(blocks: Blocks, device: str, unit: float = 1.0) -> Tensor:
    gram: Tensor | None = None
    for rows in in_float64(blocks(), device):
        if unit != 1:
            rows.div_(unit)
        gram = rows.T @ rows if gram is None else gram.addmm_(rows.T, rows)
    if gram is None:
        raise ValueError("expected at least one block of rows, got none")
    return gram


def _whole(blocks: Blocks, shape: tuple[int, int], device: str) -> Tensor:
    whole = torch.empty(shape, dtype=torch.float64, device=device)
    start = 0
    for block in blocks():
        whole[start : start + len(block)] = block
        start += len(block)
    return whole
