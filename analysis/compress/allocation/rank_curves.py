"""What nested factors lose at every rank, by four squared errors and by the slope of the loss.

Where B[:, :K] A[:K] = W, what rank k leaves out is Σ_{i>k} b_i a_iᵀ, and for weights L and R

    ‖L^½ (W - W_k) R^½‖_F² = Σ_{i,j>k} H_ij,   H = (Bᵀ L B) ∘ (A R Aᵀ),

so that all ranks are sums over trailing blocks of one K x K matrix, added from the last rank up:
small errors keep their digits, and no W_k is formed. In the same way z_k = gᵀ (W - W_k) x of one
token is Σ_{i>k} (gᵀ b_i)(a_iᵀ x).
"""

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from analysis.compress.allocation.together import Directions, levels
from analysis.compress.pieces import Statistics, TokenSample


@dataclass(frozen=True, eq=False)
class RankCurves:
    """Squared errors at the ranks 0, 1, ..., K, each (K + 1,) float64; rank 0 leaves out all of W.

    None where the calibration did not find what a measure needs.
    """

    plain: np.ndarray  # ‖W - W_k‖²
    whitened: np.ndarray | None = None  # ‖(W - W_k) G^½‖², of the outputs, per token
    heldout: np.ndarray | None = None  # the same on windows that were not calibrated on
    expected: np.ndarray | None = None  # ½E[z_k²] over the sample of tokens, in nats per predicted
    # token; without a sample ½‖A^½ (W - W_k) G^½‖², which takes x and g to be independent
    first_order: np.ndarray | None = None  # <E[∂L/∂W], W_k - W> in the same nats, of either sign
    directions: Directions | None = None  # z_k, to be added to that of other layers

    def to_dict(self) -> dict[str, np.ndarray]:
        """Return the curves that there are, by name."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: curve for name, curve in found.items() if isinstance(curve, np.ndarray)}


def rank_curves(W: Tensor, B: Tensor, A: Tensor, statistics: Statistics | None) -> RankCurves:
    """Return the curves of the nested factors B (m x K) and A (K x n) of W, in O(nK(m + n)).

    Raises ValueError where B and A do not make W at full rank, to 1e-8 of its norm.
    """
    W, B, A = (matrix.to(torch.float64) for matrix in (W, B, A))
    if not torch.linalg.norm(W - B @ A) <= 1e-8 * torch.linalg.norm(W):
        raise ValueError("expected factors whose whole product is W, got others")
    BB = B.T @ B
    plain = _trailing(BB * (A @ A.T))
    if statistics is None:
        return RankCurves(plain)
    seen = _inner(A, statistics.gram)
    heldout, gradient, slope = statistics.heldout, statistics.gradient, statistics.slope
    expected, directions = None, None
    if statistics.sample is not None:
        expected, directions = _of_tokens(B, A, statistics.sample)
    elif gradient is not None:
        expected = _trailing(_inner(B.T, gradient) * seen) / 2
    return RankCurves(
        plain,
        _trailing(BB * seen),
        None if heldout is None else _trailing(BB * _inner(A, heldout)),
        expected,
        None if slope is None else _along(B, A, slope.to(torch.float64)),
        directions,
    )


def _inner(A: Tensor, weight: Tensor) -> Tensor:
    """Return A R Aᵀ (K x K) for R whole (n, n), its diagonal (n,), or a multiple of I (1,)."""
    return (A * weight if weight.ndim == 1 else A @ weight) @ A.T


def _of_tokens(B: Tensor, A: Tensor, sample: TokenSample) -> tuple[np.ndarray, Directions]:
    """Return ½E[z_k²] for k = 0, ..., K, and z at some of these ranks."""
    each = ((sample.g.to(torch.float64) @ B) * (sample.X.to(torch.float64) @ A.T)).sum(0)  # (T, K)
    z = torch.cat([each, each.new_zeros(len(each), 1)], 1).flip(1).cumsum(1).flip(1)
    squares = z.square().mean(0).cpu().numpy()
    ranks = levels(squares)
    length = np.sqrt(squares[ranks])
    kept = z[:, torch.from_numpy(ranks)].T.cpu().numpy()
    unit = np.divide(kept, length[:, None], out=np.zeros_like(kept), where=length[:, None] > 0)
    return squares / 2, Directions(sample.name, ranks, unit.astype(np.float16))


def _along(B: Tensor, A: Tensor, slope: Tensor) -> np.ndarray:
    """Return -Σ_{i>k} b_iᵀ S a_i for k = 0, ..., K."""
    along = ((slope.T @ B) * A.T).sum(0)
    sums = torch.cat([along, along.new_zeros(1)]).flip(0).cumsum(0).flip(0)
    found: np.ndarray = (-sums).cpu().numpy()
    return found


def _trailing(H: Tensor) -> np.ndarray:
    """Return Σ_{i,j>k} H_ij for k = 0, ..., K of a symmetric H, clamped at 0."""
    added = H.diagonal() + 2 * H.triu(1).sum(1)  # what row and column k add to the block after them
    sums = torch.cat([added, added.new_zeros(1)]).flip(0).cumsum(0).flip(0)
    found: np.ndarray = sums.clamp_min(0.0).cpu().numpy()
    return found
