"""Integer codes of a few bits, really packed, with a scale and a zero for each group of a row."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from analysis.compress.forms.base import Form, empty_bias

# Bits of a code: codes that are packed together, and the bytes they take.
PACKS = {8: (1, 1), 4: (2, 1), 3: (8, 3)}


class Quantised(Form):
    """W'_ij = scale · (code_ij - zero), both float16, one of each per group of columns in a row.

    Groups have `group` columns, the last may have fewer; 0 makes the whole row one group. Without
    zeros the codes are symmetric: zero = 2^(bits - 1). The mn codes count as numbers.
    """

    kind = "quantised"
    packed = ("codes",)
    codes: Tensor
    scale: Tensor
    zero: Tensor | None

    def __init__(
        self,
        codes: Tensor,  # (m, n) uint8
        scale: Tensor,  # (m, groups)
        zero: Tensor | None,  # (m, groups)
        bits: int,
        group: int,
        bias: Tensor | None = None,
    ) -> None:
        super().__init__(codes.shape[0], codes.shape[1], bias)
        expected = (self.out_features, groups_of(self.in_features, group))
        if any(found is not None and tuple(found.shape) != expected for found in (scale, zero)):
            raise ValueError(f"expected scales and zeros of shape {expected}, got {scale.shape}")
        self.bits, self.group = bits, group
        self.register_buffer("codes", packed_codes(codes, bits))
        self.register_buffer("scale", half_bits(scale))
        self.register_buffer("zero", None if zero is None else half_bits(zero))

    def forward(self, x: Tensor) -> Tensor:
        """Return W' x + b, with W' unpacked in the dtype of x."""
        return functional.linear(x, self._unpacked(x.dtype), self.bias)

    def dense(self) -> Tensor:
        """Return W' in float32, which holds it exactly."""
        return self._unpacked(torch.float32)

    def coded(self) -> int:
        """Return mn."""
        return self.out_features * self.in_features

    def _unpacked(self, dtype: torch.dtype) -> Tensor:
        rows, cols = self.out_features, self.in_features
        codes = unpacked_codes(self.codes, self.bits, rows * cols).reshape(rows, cols)
        if self.zero is None:
            values = codes.to(dtype) - 2.0 ** (self.bits - 1)
        else:
            values = codes.to(dtype) - self._by_column(self.zero, dtype)
        return values * self._by_column(self.scale, dtype)

    def _by_column(self, bits: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the value of each column's group (m, n), or (m, 1) where a row is one group."""
        values = bits.view(torch.float16).to(dtype)
        if values.shape[1] == 1:
            return values
        return values.repeat_interleave(self.group, dim=1)[:, : self.in_features]

    def details(self) -> dict[str, Any]:
        """Return how the codes are made."""
        return {"bits": self.bits, "group": self.group, "symmetric": self.zero is None}

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "Quantised":
        """Return codes, scales and zeros of 0."""
        shape = spec["out_features"], spec["in_features"]
        scale = torch.zeros(shape[0], groups_of(shape[1], spec["group"]))
        zero = None if spec["symmetric"] else scale
        codes = torch.zeros(shape, dtype=torch.uint8)
        return cls(codes, scale, zero, spec["bits"], spec["group"], empty_bias(spec))


def groups_of(columns: int, group: int) -> int:
    """Return how many groups a row has."""
    return -(-columns // group) if group else 1


def half_bits(values: Tensor) -> Tensor:
    """Return float16 as its bits, int16: a cast of the network to another dtype leaves them be."""
    return values.to(torch.float16).contiguous().view(torch.int16)


def packed_codes(codes: Tensor, bits: int) -> Tensor:
    """Return the codes (any shape) in as few bytes as hold them, row after row, uint8.

    The first code of a pack has the lowest bits; the last pack is filled up with zeros. Raises
    ValueError for other bits than 8, 4 and 3, and for codes that they cannot hold.
    """
    if bits not in PACKS:
        raise ValueError(f"expected bits of {', '.join(map(str, PACKS))}, got {bits}")
    if codes.dtype != torch.uint8 or (not codes.is_meta and (codes >> (bits - 1) > 1).any()):
        raise ValueError(f"expected uint8 codes below {2**bits}, got {codes.dtype}")
    count, size = PACKS[bits]
    flat = functional.pad(codes.flatten(), (0, -codes.numel() % count)).reshape(-1, count)
    shifts = torch.arange(0, bits * count, bits, dtype=torch.int32, device=codes.device)
    word: Tensor = (flat.to(torch.int32) << shifts).sum(1, dtype=torch.int32)
    parts = torch.arange(0, 8 * size, 8, dtype=torch.int32, device=codes.device)
    return ((word[:, None] >> parts) & 255).to(torch.uint8).flatten()


def unpacked_codes(packed: Tensor, bits: int, total: int) -> Tensor:
    """Return the `total` codes that were packed, int32."""
    count, size = PACKS[bits]
    parts = torch.arange(0, 8 * size, 8, dtype=torch.int32, device=packed.device)
    word: Tensor = (packed.reshape(-1, size).to(torch.int32) << parts).sum(1, dtype=torch.int32)
    shifts = torch.arange(0, bits * count, bits, dtype=torch.int32, device=packed.device)
    codes: Tensor = (word[:, None] >> shifts) & (2**bits - 1)
    return codes.flatten()[:total]
