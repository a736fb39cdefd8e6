"""LASER: one layer's matrix replaced by its best rank-k form, dense again: no smaller.

An intervention, not a compression: cutting 90 to 99 % of the rank of one matrix in a late block can
raise accuracy, because the small singular directions carry noise. k = ρ · min(m, n), rounded down,
at least 1; ρ is a share of rank that is kept.

Sharma, Ash & Misra (2023), https://arxiv.org/abs/2312.13558
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from torch import Tensor

from analysis.compress.nested import factors_of
from analysis.compress.pieces import Piece
from analysis.compress.registry import Option, register


@dataclass(frozen=True)
class Params:
    """How much of the rank stays."""

    rank_share: float = field(
        default=0.1,
        metadata={"help": "share of min(m, n) that is kept", "min": 0.0, "max": 1.0},
    )


def options(pieces: Sequence[Piece], tensors: dict[str, Tensor], _: Params) -> list[Option]:
    """Return the one size there is, that of the dense layers."""
    factors = [(tensors[f"{p.layer}.B"], tensors[f"{p.layer}.A"]) for p in pieces]
    ranks = tuple(B.shape[1] for B, _ in factors)
    # Summed over what was cut, which is not in the tensors: U and the rest of it are orthogonal.
    lost = [
        float((piece.W.double() - B @ A).square().sum())
        for piece, (B, A) in zip(pieces, factors, strict=True)
    ]
    words = f"rank {', '.join(map(str, ranks))}, merged back into a dense matrix"
    return [Option(sum(p.W.numel() for p in pieces), 0, sum(lost), ranks, words)]


def build(
    pieces: Sequence[Piece], tensors: dict[str, Tensor], _: Option, __: Params
) -> dict[str, Any]:
    """Return a dense matrix for each layer."""
    from analysis.compress.forms import Merged

    return {
        p.layer: Merged((tensors[f"{p.layer}.B"] @ tensors[f"{p.layer}.A"]).to(p.W.dtype), None)
        for p in pieces
    }


@register(
    title="LASER (merged, no smaller)",
    paper="https://arxiv.org/abs/2312.13558",
    sizes="own",
    options=options,
    build=build,
    sized=False,
    sized_by="rank_share",
    merged=True,
)
def laser(pieces: Sequence[Piece], params: Params) -> dict[str, Tensor]:
    """Return the factors U_k (m x k) and U_kᵀW (k x n) of each piece at the asked rank."""
    whole = factors_of(pieces, lambda piece: (None, None))
    found = {}
    for piece in pieces:
        rank = rank_of(piece, params.rank_share)
        found[f"{piece.layer}.B"] = whole[f"{piece.layer}.B"][:, :rank].clone()
        found[f"{piece.layer}.A"] = whole[f"{piece.layer}.A"][:rank].clone()
    return found


def rank_of(piece: Piece, share: float) -> int:
    """Return k = ⌊ρ · min(m, n)⌋ for the decimal ρ that was written, at least 1."""
    return max(1, int(Fraction(str(share)) * min(piece.W.shape)))
