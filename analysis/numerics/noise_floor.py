"""Below which singular value a stored matrix is only its own rounding.

A matrix rounded to p bits carries an error matrix E with independent entries of about ulp(w)/√12,
so ‖E‖₂ is close to the largest row norm plus the largest column norm of that standard deviation
(Bandeira & van Handel). The noise floor is

    ε = c · (max_i √Σ_j e_ij² + max_j √Σ_i e_ij²),   e_ij = ulp(w_ij)/√12,

and never below σ₁ · max(m, n) · eps64. ulp is that of the *effective* format: of float16,
bfloat16, float32 and float64, those through which every entry passes unchanged are the formats that
the values may have been rounded to, and the one with the largest ε counts (a bfloat16 model kept in
a float32 file is still bfloat16). ulp includes subnormals, whose spacing does not shrink with the
value. For a difference of two checkpoints the squared errors of both are added; the difference's
own digits say nothing.

The limit of this: a format counts only if *every* entry passes through it. One entry that does not
(a bfloat16 matrix of which one number was edited in float32) makes the matrix count as float32,
with a floor some 20,000 times lower, and the rounding of all the other entries counts as rank.

The constant c was settled by experiment: exact low-rank matrices in each format, the largest
singular value that is only rounding over the bracket above, for shapes from 512 x 256 to
8192 x 512, three seeds each.

    rounded once (bfloat16, float16, float32; differences)  0.6 to 0.75
    float16 values that reach into the subnormals           0.98
    product of rank k computed in float32                   about 0.56 √k (k = 16: 2.5), then level
                                                            from k = 128 on, where the kernels add
                                                            partial sums: 6.7 (MKL), 9.2 (OpenBLAS)

So c is 4 for the halves, whose products are summed in float32 and rounded once (the margin is for
kernels that split that sum), and 12 for float32 and float64, which also carry the rounding of the
arithmetic that made them: with 4 a product of rank 64 would count as full rank. TF32 arithmetic
leaves no trace in the digits of its float32 result and is not seen.

Bandeira & van Handel (2016), https://arxiv.org/abs/1408.6185
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from analysis.numerics.decomposition import EPS

SAFETY = {"bfloat16": 4.0, "float16": 4.0, "float32": 12.0, "float64": 12.0}
HALVES = (torch.bfloat16, torch.float16)
EXPONENT_BITS = 0x7FF0000000000000


@dataclass(frozen=True)
class Rounding:
    """Norms of the error c · ulp/√12 of one stored matrix along its rows and columns."""

    dtype: str
    rows: Tensor  # (m,) float64
    columns: Tensor  # (n,) float64

    @property
    def norm(self) -> float:
        """Return ε: the largest row norm plus the largest column norm of the error."""
        return float(self.rows.max() + self.columns.max())


def noise_floor(parts: Sequence[Rounding], largest: float, shape: tuple[int, int]) -> float:
    """Return ε for a matrix whose entries are sums of `parts`, where `largest` is σ₁."""
    rows = reduce(torch.hypot, [part.rows for part in parts])
    columns = reduce(torch.hypot, [part.columns for part in parts])
    return max(Rounding("", rows, columns).norm, largest * max(shape) * EPS)


def coarsest(parts: Sequence[Rounding]) -> str:
    """Return the format of the part whose rounding is largest.

    One entry outside a format makes a part count as the next wider one that holds them all.
    """
    return max(parts, key=lambda part: part.norm).dtype


def rounding(blocks: Iterable[Tensor]) -> Rounding:
    """Return the rounding errors of a matrix in the coarsest format that all its entries fit."""
    tallies: list[_Tally] | None = None
    for block in blocks:
        tallies = _candidates(block.dtype, block.shape[1]) if tallies is None else tallies
        tallies = [tally for tally in tallies if tally.fits(block)]
        for tally in tallies:
            tally.add(block)
    if not tallies:
        raise ValueError("expected at least one block of rows, got none")
    return max((tally.total() for tally in tallies), key=lambda found: found.norm)


def ulp_(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Replace each float64 value by the spacing of `dtype` there, subnormals included."""
    facts = torch.finfo(dtype)
    values.view(torch.int64).bitwise_and_(EXPONENT_BITS)  # leaves 2^e of the value
    return values.clamp_min_(facts.smallest_normal).mul_(facts.eps)


class _Tally:
    """Norms over the blocks for one candidate format."""

    def __init__(self, dtype: torch.dtype, columns: int) -> None:
        self.dtype = dtype
        self.name = str(dtype).removeprefix("torch.")
        self.rows: list[Tensor] = []
        self.columns = torch.zeros(columns, dtype=torch.float64)
        self.buffer: Tensor | None = None  # one for all blocks: see `in_float64`

    def fits(self, block: Tensor) -> bool:
        return block.dtype == self.dtype or torch.equal(block.to(self.dtype).to(block.dtype), block)

    def add(self, block: Tensor) -> None:
        if self.buffer is None or len(block) > len(self.buffer):
            self.buffer = torch.empty(block.shape, dtype=torch.float64)
        error = ulp_(self.buffer[: len(block)].copy_(block), self.dtype)
        unit = error.max()  # the square of a float64 ulp may leave float64
        squared = error.div_(unit).square_()
        factor = unit * (SAFETY[self.name] / 12**0.5)
        self.rows.append((squared.sum(1).sqrt_() * factor).cpu())
        self.columns = torch.hypot(self.columns, (squared.sum(0).sqrt_() * factor).cpu())

    def total(self) -> Rounding:
        return Rounding(self.name, torch.cat(self.rows), self.columns)


def _candidates(stored: torch.dtype, columns: int) -> list[_Tally]:
    wider = [d for d in (torch.float32, torch.float64) if d.itemsize <= stored.itemsize]
    return [_Tally(dtype, columns) for dtype in dict.fromkeys((stored, *HALVES, *wider))]
