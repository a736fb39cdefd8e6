"""Whitened SVD (SVD-LLM): the rank-k matrix whose outputs are nearest to those of W.

Minimises ‖(W - W') X‖_F over the calibration's inputs X, that is ‖(W - W') G^½‖_F with G = XXᵀ/N:

    W' = U_k U_kᵀ W,   U the eigenvectors of W G Wᵀ,   error² = Σ_{i>k} σᵢ²(W G^½)

No inverse and no Cholesky factor is in the answer, so fewer tokens than input channels break
nothing; they do overfit, and G is shrunk then (`shrinkage`).

Wang et al. (2024), https://arxiv.org/abs/2403.07378
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from analysis.compress.nested import calibrated, factors_of
from analysis.compress.pieces import Piece
from analysis.compress.registry import register
from analysis.numerics.shrinkage import CHOICES, shrunk


@dataclass(frozen=True)
class Params:
    """What is done about few tokens."""

    shrinkage: str = field(
        default="auto",
        metadata={
            "help": "of the inputs' correlations; auto: Ledoit-Wolf below two tokens per channel",
            "choices": CHOICES,
        },
    )


@register(title="Whitened SVD (SVD-LLM)", paper="https://arxiv.org/abs/2403.07378", needs=["gram"])
def whitened_svd(pieces: Sequence[Piece], params: Params) -> dict[str, Tensor]:
    """Return nested factors of the smallest ‖(W - W') G^½‖_F at every rank."""

    def weights(piece: Piece) -> tuple[None, Tensor]:
        found = calibrated(piece, "whitened_svd")
        return None, shrunk(found.gram, found.tokens, params.shrinkage)

    return factors_of(pieces, weights)
