"""Two-sided whitening: the rank-k matrix that is expected to raise the loss least.

With G = E[xxᵀ] of a layer's inputs and A = E[ggᵀ] of its output gradients (labels sampled from the
model itself), the Fisher information of W is about A ⊗ G, and

    Δloss ≈ ½ ‖A^½ (W - W') G^½‖_F²   nats per token,

smallest for the truncated SVD of A^½ W G^½. A = I is whitened SVD; a diagonal A weighs the outputs
only. It takes x and g to be independent, which orders directions well; how much is lost is
predicted without that (`trials/predicting.py`). Above about 0.3 nats nothing of second order is
reliable, and there the whitened SVD can be better.

Martens & Grosse (2015), https://arxiv.org/abs/1503.05671 (the Kronecker-factored Fisher)
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from analysis.compress.nested import calibrated, factors_of, learned
from analysis.compress.pieces import Piece, Statistics
from analysis.compress.registry import register
from analysis.numerics.shrinkage import CHOICES, shrunk
from analysis.registry import AnalysisError

SIDES = ("full", "diagonal", "scalar")


@dataclass(frozen=True)
class Params:
    """How much of the outputs' gradients counts, and what is done about few tokens."""

    gradient: str = field(
        default="full",
        metadata={
            "help": "covariance of the output gradients: whole, its diagonal, or its mean, which "
            "gives the factors of whitened SVD",
            "choices": SIDES,
        },
    )
    shrinkage: str = field(
        default="auto",
        metadata={
            "help": "of inputs' and gradients' correlations; auto: Ledoit-Wolf below two tokens "
            "per channel",
            "choices": CHOICES,
        },
    )


@register(
    title="Two-sided whitened SVD",
    paper="https://arxiv.org/abs/1503.05671",
    needs=["gram", "gradient"],
)
def two_sided_svd(pieces: Sequence[Piece], params: Params) -> dict[str, Tensor]:
    """Return nested factors of the smallest expected change of loss at every rank."""

    def weights(piece: Piece) -> tuple[Tensor | None, Tensor]:
        found = calibrated(piece, "two_sided_svd")
        right = shrunk(found.gram, found.tokens, params.shrinkage)
        return _left(piece, found, params), right

    return factors_of(pieces, weights)


def _left(piece: Piece, found: Statistics, params: Params) -> Tensor | None:
    """Return the weight of the outputs; a scalar moves no singular vector."""
    gradient = learned(found.gradient, piece, "two_sided_svd")
    if params.gradient == "scalar":
        return None
    size = len(piece.W)
    if params.gradient == "full" and gradient.shape == (size, size):
        return shrunk(gradient, found.tokens, params.shrinkage)
    if params.gradient == "diagonal" and gradient.shape in ((size, size), (size,)):
        return gradient.diagonal() if gradient.ndim == 2 else gradient
    raise AnalysisError(
        f"two_sided_svd with gradient={params.gradient} needs more than this calibration kept at "
        f"{piece.layer}: calibrate with gradient={params.gradient}, or ask for less"
    )
