"""Matrices read in blocks of rows, turned tall, so that no second copy of a large one is made."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

BLOCK_ENTRIES = 2**20

Blocks = Callable[[], Iterator[Tensor]]
"""Row blocks of one m x n matrix with m >= n, top to bottom; each call starts again.

A block is good until the next one is asked for: its memory may be used again.
"""


class Rows(Protocol):
    """A two-dimensional matrix read lazily.

    A matrix made from stored ones also has an attribute `rounded`: those matrices, as `Rows`. Of a
    difference of checkpoints they have its shape, and their rounding errors add. Anything else made
    also has a method `error`: the bound on what their rounding does to it in the spectral norm, and
    the format that they were rounded to.
    """

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""

    @property
    def dtype(self) -> torch.dtype:
        """As stored."""

    def rows(self, start: int, stop: int) -> Tensor:
        """Return rows start to stop as a matrix in the stored dtype."""


class InMemory:
    """`Rows` of a tensor that is already here."""

    def __init__(self, tensor: Tensor) -> None:
        if tensor.ndim != 2:
            raise ValueError(f"expected a matrix, got a tensor of shape {tuple(tensor.shape)}")
        self._tensor = tensor

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, cols = self._tensor.shape
        return rows, cols

    @property
    def dtype(self) -> torch.dtype:
        """The tensor's own."""
        return self._tensor.dtype

    def rows(self, start: int, stop: int) -> Tensor:
        """Return a view of rows start to stop."""
        return self._tensor[start:stop]


def block_rows(columns: int) -> int:
    """Return how many rows of `columns` entries make one block (8 MB in float64)."""
    return max(1, BLOCK_ENTRIES // max(columns, 1))


def blocks_of(matrix: Tensor) -> Blocks:
    """Return the row blocks of a matrix in memory, turned so that it is tall."""
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    step = block_rows(tall.shape[1])
    return lambda: (tall[start : start + step] for start in range(0, tall.shape[0], step))


def in_float64(blocks: Iterable[Tensor], device: str = "cpu") -> Iterator[Tensor]:
    """Yield each block in float64, all in one buffer.

    Fresh blocks of this size would scatter over the C heap, which then grows to several times what
    is in use.
    """
    buffer: Tensor | None = None
    for block in blocks:
        if buffer is None or len(block) > len(buffer):
            buffer = torch.empty(block.shape, dtype=torch.float64, device=device)
        yield buffer[: len(block)].copy_(block)


def tall_blocks(data: Rows) -> Blocks:
    """Return the blocks of a matrix turned tall; a wide one is read whole, in its stored dtype."""
    rows, cols = data.shape
    if rows < cols:
        return blocks_of(assembled(data))
    step = block_rows(cols)
    return lambda: (data.rows(start, min(start + step, rows)) for start in range(0, rows, step))


def assembled(data: Rows) -> Tensor:
    """Return one copy of a whole matrix, read in blocks: reading it at once may take several."""
    rows, cols = data.shape
    entries = torch.empty(rows, cols, dtype=data.dtype)
    step = block_rows(cols)
    for start in range(0, rows, step):
        entries[start : start + step] = data.rows(start, min(start + step, rows))
    return entries


def noise_blocks(shape: tuple[int, int], seed: int) -> Blocks:
    """Return the blocks of a seeded Gaussian matrix of variance 1/rows, whatever their size."""
    rows, cols = shape
    step = block_rows(cols)

    def draw() -> Iterator[Tensor]:
        generator = np.random.default_rng(seed)
        buffer = np.empty((min(step, rows), cols))
        for start in range(0, rows, step):
            block = buffer[: min(step, rows - start)]
            generator.standard_normal(out=block)
            yield torch.from_numpy(block).div_(rows**0.5)

    return draw


def shuffled_entries(data: Rows, seed: int) -> Tensor:
    """Return all entries of a matrix in a seeded random order: one copy, shuffled in place."""
    entries = assembled(data)
    words = {2: torch.int16, 4: torch.int32, 8: torch.int64}[data.dtype.itemsize]
    np.random.default_rng(seed).shuffle(entries.view(words).view(-1).numpy())
    return entries
