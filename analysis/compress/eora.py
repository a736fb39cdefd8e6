"""EoRA: a low-rank correction of what another compression got wrong, for the inputs that occur.

With ΔW = W - W_c, the correction BA of rank r that leaves the smallest ‖(ΔW - BA) G^½‖_F is the
whitened SVD of ΔW. The paper reaches it through the eigenvectors of G = QΛQᵀ and divides by Λ^½;
here B = U_r and A = U_rᵀ ΔW, the same product without a division.

Liu et al. (2024), https://arxiv.org/abs/2410.21271
"""

from torch import Tensor

from analysis.compress.pieces import Statistics
from analysis.numerics.shrinkage import shrunk
from analysis.numerics.weighted_truncation import nested_factors


def compensate(
    dW: Tensor, statistics: Statistics, rank: int, shrinkage: str = "auto"
) -> tuple[Tensor, Tensor]:
    """Return B (m x r) and A (r x n), float64, the best correction for the calibration's inputs.

    Raises ValueError unless 0 <= rank <= min(m, n), and where dW is not finite.
    """
    gram = shrunk(statistics.gram, statistics.tokens, shrinkage)
    return _leading(dW, gram, rank)


def compensate_plain(dW: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Return B and A of the smallest ‖ΔW - BA‖_F, the comparison that looks at no inputs."""
    return _leading(dW, None, rank)


def _leading(dW: Tensor, gram: Tensor | None, rank: int) -> tuple[Tensor, Tensor]:
    if not 0 <= rank <= min(dW.shape):
        raise ValueError(f"expected a rank from 0 to {min(dW.shape)}, got {rank}")
    B, A = nested_factors(dW, right=gram)
    return B[:, :rank].clone(), A[:rank].clone()
