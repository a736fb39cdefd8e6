"""Truncated SVD: the rank-k matrix nearest to W itself. It needs no data.

    W' = U_k U_kᵀ W,   ‖W - W'‖_F² = Σ_{i>k} σᵢ²

Nearest in weights says little about accuracy: an input that is large where W' is wrong makes the
error large as well. LoRD stores code models in two low-rank factors like these in one shot, without
any training after it.

Eckart & Young (1936), https://doi.org/10.1007/BF02288367
Kaushal et al. (2023), https://arxiv.org/abs/2309.14021 (LoRD)
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from analysis.compress.nested import factors_of
from analysis.compress.pieces import Piece
from analysis.compress.registry import register


@dataclass(frozen=True)
class Params:
    """Nothing to choose."""


@register(title="SVD", paper="https://doi.org/10.1007/BF02288367")
def svd(pieces: Sequence[Piece], _: Params) -> dict[str, Tensor]:
    """Return nested factors of the smallest ‖W - W'‖_F at every rank."""
    return factors_of(pieces, lambda piece: (None, None))
