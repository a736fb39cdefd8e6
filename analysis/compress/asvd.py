"""ASVD: SVD with every input channel weighted by how large its activations are.

Minimises ‖(W - W') diag(d)‖_F with d_j = (mean |x_j|)^α. At α = 0 this is plain SVD.

Yuan et al. (2023), https://arxiv.org/abs/2312.05821
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from analysis.compress.nested import calibrated, factors_of
from analysis.compress.pieces import Piece
from analysis.compress.registry import register


@dataclass(frozen=True)
class Params:
    """How strongly the activations count."""

    alpha: float = field(
        default=0.5,
        metadata={"help": "exponent of the mean magnitude of a channel", "min": 0.0, "max": 2.0},
    )


@register(title="ASVD", paper="https://arxiv.org/abs/2312.05821", needs=["gram"])
def asvd(pieces: Sequence[Piece], params: Params) -> dict[str, Tensor]:
    """Return nested factors of the smallest ‖(W - W') diag(mean |x|)^α‖_F at every rank."""
    return factors_of(
        pieces, lambda piece: (None, calibrated(piece, "asvd").mean_abs ** (2 * params.alpha))
    )
