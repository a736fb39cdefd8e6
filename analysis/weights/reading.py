"""Reading a labelled matrix: rows on request, from the file, in the stored dtype.

Rows of an update are float64 (see `Difference` for the exception).
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from analysis.numerics.low_rank import LowRank
from analysis.numerics.row_blocks import Rows
from analysis.weights import lora
from analysis.weights.folders import PICKLES
from analysis.weights.pickles import read_pickle
from analysis.weights.refs import MatrixRef
from analysis.weights.updates import Part
from analysis.weights.views import Span, View


@dataclass(frozen=True)
class StoredRows:
    """A matrix that stays in its file: `rows` reads the spans it needs and keeps nothing."""

    file: str
    tensor: str
    view: View
    dtype_name: str

    @property
    def shape(self) -> tuple[int, int]:
        """Return (rows, columns)."""
        return self.view.shape

    @cached_property
    def dtype(self) -> torch.dtype:
        """Return the stored dtype."""
        found = getattr(torch, self.dtype_name)
        assert isinstance(found, torch.dtype)
        return found

    def rows(self, start: int, stop: int) -> Tensor:
        """Return rows start to stop, (stop - start) x columns, in the stored dtype.

        Rows beyond the last are not there, as in slicing a tensor.
        """
        stop = min(stop, self.shape[0])
        if stop <= start:
            return torch.empty(0, self.shape[1], dtype=self.dtype)
        view = self.view.with_rows(_hull(self.view.rows, start, stop))
        outer = tuple(slice(span.index(0), span.index(span.length - 1) + 1) for span in view.spans)
        block = read(self.file, self.tensor, outer)
        for axis, span in enumerate(self.view.spans):
            wanted = range(start, stop) if axis == view.row_axis else range(span.length)
            block = _only(block, axis, span, wanted)
        return block.movedim(view.row_axis, 0).reshape(stop - start, -1)


class Difference:
    """`Rows` of tuned - base, whose rounding errors add.

    The rows are float64, or float32 where both are stored in 16 bits, of which it loses nothing
    that is not far below their rounding.
    """

    def __init__(self, tuned: Rows, base: Rows) -> None:
        self.rounded = (tuned, base)
        wide = max(tuned.dtype.itemsize, base.dtype.itemsize) > 2
        self._dtype = torch.float64 if wide else torch.float32

    @property
    def shape(self) -> tuple[int, int]:
        """Return (rows, columns)."""
        return self.rounded[0].shape

    @property
    def dtype(self) -> torch.dtype:
        """Of the rows."""
        return self._dtype

    def rows(self, start: int, stop: int) -> Tensor:
        """Return rows start to stop."""
        tuned, base = self.rounded
        return tuned.rows(start, stop).to(self._dtype) - base.rows(start, stop).to(self._dtype)


def load(ref: MatrixRef) -> Rows:
    """Return the matrix as lazily read rows. Nothing is read yet."""
    update = ref.update
    if update is None:
        return StoredRows(ref.file, ref.tensor, ref.view, ref.dtype)
    if update.how == "difference":
        tuned, base = (_stored(part, ref.view) for part in update.parts)
        return Difference(tuned, base)
    if update.how == "low_rank":
        left, right = (_stored(*factor) for factor in lora.views(update, ref.view))
        return LowRank(left, right, update.scale)
    from analysis.weights.merging import Merged  # reads this module's tensors

    return Merged(ref)


def _stored(part: Part, view: View) -> StoredRows:
    return StoredRows(part.file, part.tensor, view, part.dtype)


def read(file: str, tensor: str, index: tuple[slice, ...]) -> Tensor:
    """Return a block of a stored tensor.

    The file is opened for this call alone, so its pages leave memory with the block.
    """
    if Path(file).suffix in PICKLES:
        return read_pickle(Path(file))[tensor][index].clone()
    with safe_open(file, framework="pt") as opened:
        if not index:  # a single number has no slices
            number: Tensor = opened.get_tensor(tensor)
            return number
        block: Tensor = opened.get_slice(tensor)[index]
        return block


def _hull(span: Span, start: int, stop: int) -> Span:
    """Return the shortest contiguous span that holds logical indices start to stop."""
    return Span(span.index(start), span.index(stop - 1) + 1, span.size, span.size)


def _only(block: Tensor, axis: int, span: Span, wanted: range) -> Tensor:
    """Drop what the hull of `wanted` holds between the runs of an interleaved span."""
    if block.shape[axis] == len(wanted):
        return block
    first = span.index(wanted[0])
    return block.index_select(axis, torch.tensor([span.index(i) - first for i in wanted]))
