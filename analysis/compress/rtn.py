"""Round to nearest: each weight as an integer code of 8, 4 or 3 bits. It needs no data.

Each group of columns in a row has a scale s and a zero z, float16, and W' = s (code - z):

    asymmetric   s = (max(W, 0) - min(W, 0)) / (2^b - 1),  z = round(-min(W, 0) / s)
    symmetric    s = max|W| / (2^(b - 1) - 1),             z = 2^(b - 1), not stored

The scale is rounded up to a float16, so that no weight falls off the ends: |W - W'| <= s / 2.
"3 bits" says little without the group, since the scale follows the largest weight in it.

Dettmers & Zettlemoyer (2022), https://arxiv.org/abs/2212.09720
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from analysis.compress.forms import Quantised
from analysis.compress.forms.quantised import groups_of
from analysis.compress.pieces import NonFiniteLayer, Piece
from analysis.compress.registry import Option, register


@dataclass(frozen=True)
class Params:
    """How fine the codes are, and how many weights share a scale."""

    bits: int = field(default=4, metadata={"help": "bits of a code", "choices": (8, 4, 3)})
    group: int = field(
        default=64, metadata={"help": "columns that share a scale, 0 for the whole row", "min": 0}
    )
    symmetric: bool = field(
        default=False, metadata={"help": "codes around zero: a scale for each group and no zero"}
    )


def rounded(W: Tensor, params: Params) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return codes (m, n) uint8, scale and zero (m, groups) float16 of W (m x n).

    A group of zeros has scale 1. Scales beyond float16 are infinite.
    """
    groups = _grouped(W.detach().double(), params.group)  # (m, groups, columns)
    top = 2**params.bits - 1
    if params.symmetric:
        middle = 2 ** (params.bits - 1)
        scale = _half_above(groups.abs().amax(2) / (middle - 1))
        zero = torch.full_like(scale, middle)
    else:
        low, high = groups.amin(2).clamp(max=0), groups.amax(2).clamp(min=0)
        scale = _half_above((high - low) / top)
        zero = (-low / scale.double()).round().to(torch.float16)
    codes = (groups / scale.double()[..., None]).round() + zero.double()[..., None]
    whole = codes.clamp(0, top).to(torch.uint8).flatten(1)[:, : W.shape[1]]
    return whole, scale, None if params.symmetric else zero


def options(pieces: Sequence[Piece], tensors: dict[str, Tensor], params: Params) -> list[Option]:
    """Return the one size there is; all of its bytes are counted, since its codes are packed."""
    [piece] = pieces
    form = _form(piece, tensors, params)
    error = (piece.W.double() - form.dense().double()).square().sum().item()
    kind = "symmetric" if params.symmetric else "asymmetric"
    size = f"groups of {params.group}" if params.group else "one group a row"
    words = f"{params.bits} bits, {kind}, {size}"
    stored = form.stored_bytes(torch.float32)
    return [Option(form.numbers(), stored, error, (params.bits, params.group), words)]


def build(
    pieces: Sequence[Piece], tensors: dict[str, Tensor], _: Option, params: Params
) -> dict[str, nn.Module]:
    """Return the packed layer."""
    [piece] = pieces
    return {piece.layer: _form(piece, tensors, params)}


@register(
    title="Round to nearest",
    paper="https://arxiv.org/abs/2212.09720",
    sizes="own",
    options=options,
    build=build,
    sized=False,
    sized_by="bits",
)
def rtn(pieces: Sequence[Piece], params: Params) -> dict[str, Tensor]:
    """Return codes, scales and, unless symmetric, zeros of each piece.

    Raises NonFiniteLayer for weights that hold NaN or infinity, and for scales beyond float16.
    """
    found: dict[str, Tensor] = {}
    for piece in pieces:
        if not piece.W.isfinite().all():
            raise NonFiniteLayer(piece.layer, "its weight")
        codes, scale, zero = rounded(piece.W, params)
        if not scale.isfinite().all():
            raise NonFiniteLayer(piece.layer, "a scale of its groups, in float16,")
        given = {"codes": codes, "scale": scale} | ({} if zero is None else {"zero": zero})
        found |= {f"{piece.layer}.{name}": tensor for name, tensor in given.items()}
    return found


def _form(piece: Piece, tensors: dict[str, Tensor], params: Params) -> Quantised:
    codes, scale = tensors[f"{piece.layer}.codes"], tensors[f"{piece.layer}.scale"]
    zero = tensors.get(f"{piece.layer}.zero")
    return Quantised(codes, scale, zero, params.bits, params.group)


def _grouped(W: Tensor, group: int) -> Tensor:
    """Return W as (m, groups, columns), a shorter last group filled up with zeros."""
    rows, cols = W.shape
    count = groups_of(cols, group)
    size = group or cols
    return functional.pad(W, (0, count * size - cols)).reshape(rows, count, size)


def _half_above(values: Tensor) -> Tensor:
    """Return the least float16 that is no less than each value, and 1 in place of 0."""
    half = values.to(torch.float16)
    # The next float16 above a positive one has the next integer as its bits.
    bits = half.view(torch.int16) + (half.double() < values).to(torch.int16)
    above: Tensor = bits.view(torch.float16)
    return torch.where(values > 0, above, 1)
