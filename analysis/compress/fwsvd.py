"""FWSVD: SVD with every input feature weighted by the Fisher information of its weights.

Minimises ‖(W - W') diag(d)‖_F with d_j² = Σ_i E[(∂L/∂W_ij)²], the squared gradients of one sequence
at a time, summed over the outputs: one weight per input feature (the paper writes y = xW, where
those are rows). The factors need no division by d, so features without a gradient do no harm.

Hsu et al. (2022), https://arxiv.org/abs/2207.00112
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from analysis.compress.nested import calibrated, factors_of, learned
from analysis.compress.pieces import Piece
from analysis.compress.registry import register


@dataclass(frozen=True)
class Params:
    """Nothing to choose."""


@register(title="FWSVD", paper="https://arxiv.org/abs/2207.00112", needs=["squared"])
def fwsvd(pieces: Sequence[Piece], _: Params) -> dict[str, Tensor]:
    """Return nested factors of the smallest ‖(W - W') diag(d)‖_F at every rank."""
    return factors_of(
        pieces, lambda piece: (None, learned(calibrated(piece, "fwsvd").squared, piece, "fwsvd"))
    )
