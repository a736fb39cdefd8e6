"""Views: which entries of a stored tensor make up one matrix, and in which orientation.

A view takes one span of every axis; one axis gives the matrix's rows and the others, flattened in
their order, its columns. This covers transposed storage, fused and interleaved projections,
attention heads, experts of a three-dimensional tensor, and kernels flattened or sliced. It is
plain data, so it travels as JSON and is part of a matrix's content key.
"""

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Span:
    """The indices k·period + i with start <= i < stop, for every k that stays inside the axis.

    `start`, `stop` and `period` count entries of the axis; `size` is the axis's length, a multiple
    of `period`.
    """

    start: int
    stop: int
    period: int
    size: int

    @classmethod
    def all(cls, size: int) -> "Span":
        """Return the span of a whole axis."""
        return cls(0, size, max(size, 1), size)

    @property
    def length(self) -> int:
        """Return the number of indices."""
        return (self.stop - self.start) * (self.size // self.period)

    def part(self, start: int, stop: int, period: int | None = None) -> "Span":
        """Return indices start to stop of every `period` (default: of all) of a contiguous span.

        Raises ValueError where this span is not contiguous or is no multiple of the period.
        """
        period = period or self.length
        if self.length != self.stop - self.start or self.length % period:
            raise ValueError(f"expected a contiguous multiple of {period}, got {self}")
        if period == self.length:
            return replace(self, start=self.start + start, stop=self.start + stop)
        if self.length != self.size:
            raise ValueError(f"expected a whole axis, got {self}")
        return Span(start, stop, period, self.size)

    def run(self, start: int, stop: int) -> "Span":
        """Return logical indices start to stop, which must lie in one contiguous run."""
        width = self.stop - self.start
        k, inside = divmod(start, width)
        if inside + stop - start > width:
            raise ValueError(f"expected one run of {width}, got {start} to {stop}")
        first = k * self.period + self.start + inside
        return Span(first, first + stop - start, self.size, self.size)

    def index(self, i: int) -> int:
        """Return the axis's index of logical index i."""
        width = self.stop - self.start
        return (i // width) * self.period + self.start + i % width


@dataclass(frozen=True)
class View:
    """One span per axis of the stored tensor; `row_axis` gives the rows of the matrix."""

    spans: tuple[Span, ...]
    row_axis: int = 0

    @classmethod
    def whole(cls, shape: tuple[int, ...]) -> "View":
        """Return the view of every entry: (first axis) x (all others)."""
        return cls(tuple(Span.all(n) for n in shape))

    @property
    def shape(self) -> tuple[int, int]:
        """Return (rows, columns)."""
        lengths = [span.length for span in self.spans]
        rows = lengths.pop(self.row_axis)
        return rows, math.prod(lengths)

    @property
    def column_axis(self) -> int:
        """Return the last axis that is not the rows' (of a matrix: the columns')."""
        return max(axis for axis in range(len(self.spans)) if axis != self.row_axis)

    @property
    def rows(self) -> Span:
        """Return the span of the rows' axis."""
        return self.spans[self.row_axis]

    def transposed(self) -> "View":
        """Return the view of a matrix whose columns are stored as its first axis."""
        return replace(self, row_axis=self.column_axis)

    def with_rows(self, span: Span) -> "View":
        """Return the view with other rows."""
        return self._with(self.row_axis, span)

    def with_columns(self, span: Span) -> "View":
        """Return the view with another span of `column_axis`."""
        return self._with(self.column_axis, span)

    def at(self, axis: int, i: int) -> "View":
        """Return the view at one index of an axis; its rows come from the first axis left."""
        fixed = self._with(axis, self.spans[axis].run(i, i + 1))
        if axis != self.row_axis:
            return fixed
        return replace(fixed, row_axis=axis + 1)

    def _with(self, axis: int, span: Span) -> "View":
        return replace(self, spans=(*self.spans[:axis], span, *self.spans[axis + 1 :]))
