"""Reading a labelled matrix: rows on request, from the file, in the stored dtype."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from analysis.weights.files import PICKLES
from analysis.weights.pickles import read_pickle
from analysis.weights.refs import MatrixRef
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


def load(ref: MatrixRef) -> StoredRows:
    """Return the matrix as lazily read rows. Nothing is read yet."""
    return StoredRows(ref.file, ref.tensor, ref.view, ref.dtype)


def read(file: str, tensor: str, index: tuple[slice, ...]) -> Tensor:
    """Return a block of a stored tensor.

    The file is opened for this call alone, so its pages leave memory with the block.
    """
    if Path(file).suffix in PICKLES:
        return read_pickle(Path(file))[tensor][index].clone()
    with safe_open(file, framework="pt") as opened:
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
