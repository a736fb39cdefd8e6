"""One labelled weight matrix, and the spectra that belong to it.

`Matrix` is what an analysis of unit "matrix" receives. Its decomposition runs at most once: each
spectrum is recalled by key where the store has it, and otherwise computed and kept in `fresh` for
the store. The entries are read in blocks of rows; no float64 copy of a tall matrix is ever made.
"""

import hashlib
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from analysis.numerics.decomposition import leading_vectors, singular_values
from analysis.numerics.noise_floor import Rounding, noise_floor, rounding
from analysis.numerics.row_blocks import (
    InMemory,
    blocks_of,
    noise_blocks,
    shuffled_entries,
    tall_blocks,
)
from analysis.numerics.row_blocks import Rows as Rows
from analysis.registry import AnalysisError

HARMLESS = 1e-2  # of the noise floor: an error of the decomposition that no measure can see
HARMLESS_IN_NOISE = 1e-8  # of the edge of a generated matrix
LEADING = 64
RESOLVED = 1e-6  # of σ₁: smaller singular values have no trustworthy vectors


class NonFinite(AnalysisError):  # noqa: N818  a finding, not a fault
    """A matrix holds NaN or infinity, or its norm is infinite, so it has no spectrum."""


class ZeroMatrix(AnalysisError):  # noqa: N818  as above
    """Every entry of a matrix is zero, so there is nothing to measure."""


@dataclass(frozen=True)
class Label:
    """Where a matrix sits in its model; see `view` for which part of the tensor it is."""

    layer: str  # unique display name in the model
    tensor: str  # name in the file
    module: str  # "q", "k", "v", "o", "gate", "up", "down", "embed", "head", ... or its own name
    block: int | None
    view: str = "whole"  # or "head 3", "part q", "expert 2", "flattened", "slice 0,1", "delta"
    kind: str = "linear"  # "linear", "embedding", "conv" or "other"


@dataclass(frozen=True)
class Spectrum:
    """All singular values of one matrix, and how much of them is rounding."""

    key: str
    values: np.ndarray  # float64, descending, length min(rows, cols)
    rows: int
    cols: int
    noise_floor: float = 0.0  # 0 for generated matrices
    effective_dtype: str = "float64"


@dataclass(frozen=True)
class LayerSpectrum:
    """What an analysis of unit "spectra" receives for each layer."""

    label: Label
    spectrum: Spectrum
    dtype: str  # as stored


def recall_nothing(key: str) -> Spectrum | None:
    """Know no spectrum: what a matrix outside of a store is given."""
    del key
    return None


class Matrix:
    """One weight matrix with its label. `fresh` collects the spectra computed here, by key."""

    def __init__(
        self,
        data: Rows,
        label: Label,
        key: str,
        *,
        recall: Callable[[str], Spectrum | None] = recall_nothing,
        device: str = "cpu",
    ) -> None:
        self.label = label
        self.key = key
        self.fresh: dict[str, Spectrum] = {}
        self._data = data
        self._recall = recall
        self._device = device
        self._known: dict[str, Spectrum] = {}

    @classmethod
    def of(cls, tensor: Tensor, label: Label | None = None, key: str | None = None) -> "Matrix":
        """Wrap a tensor in memory; the key is a hash of its bytes unless given."""
        raw = tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
        own = hashlib.sha256(raw + f"{tensor.dtype}{tuple(tensor.shape)}".encode()).hexdigest()
        return cls(InMemory(tensor.detach()), label or Label("w", "w", "w", None), key or own)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self._data.shape

    @property
    def dtype(self) -> str:
        """Stored dtype as a word, "float16"."""
        return str(self._data.dtype).removeprefix("torch.")

    @property
    def stored_bytes(self) -> int:
        """Bytes of the entries as stored."""
        return self.shape[0] * self.shape[1] * self._data.dtype.itemsize

    def dense(self) -> Tensor:
        """Return the whole matrix in its stored dtype, read anew at each call."""
        return self._data.rows(0, self.shape[0])

    def singular_values(self) -> Tensor:
        """Return the singular values, float64, descending."""
        return torch.from_numpy(self.spectrum().values.copy())

    def spectrum(self) -> Spectrum:
        """Return the singular values with their noise floor.

        Raises NonFinite when an entry is NaN or infinite. An all-zero matrix has zeros.
        """
        return self._once(self.key, self._decompose)

    def shuffled(self, seed: int) -> Spectrum:
        """Return the spectrum of the same entries in a random order (seeded).

        Raises NonFinite as `spectrum` does.
        """
        return self._once(f"shuffled-{self.key}-seed{seed}", lambda key: self._shuffle(key, seed))

    def noise(self, seed: int) -> Spectrum:
        """Return the spectrum of a Gaussian matrix of this shape, variance 1/max(rows, cols).

        A matrix and its transpose share one draw.
        """
        rows, cols = self.shape
        return self._once(noise_key(rows, cols, seed), lambda key: self._draw(key, seed))

    def leading_vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """Return U (rows x k) and V (cols x k), float16: at most 64, none below the noise floor."""
        own = self.spectrum()
        least = max(own.noise_floor, RESOLVED * float(own.values[0]))
        count = min(LEADING, int((own.values > least).sum()))
        # A power of two: dividing by it changes no digit.
        unit = 2.0 ** math.frexp(float(own.values[0]) / 2)[1]
        found = leading_vectors(tall_blocks(self._data), count, unit=unit, device=self._device)
        long, short = (vectors.half().numpy() for vectors in found)
        return (long, short) if self.shape[0] >= self.shape[1] else (short, long)

    def _once(self, key: str, compute: Callable[[str], Spectrum]) -> Spectrum:
        if key not in self._known:
            found = self._recall(key)
            if found is None:
                found = self.fresh[key] = compute(key)
            self._known[key] = found
        return self._known[key]

    def _decompose(self, key: str) -> Spectrum:
        stored = getattr(self._data, "rounded", [self._data])
        parts = [rounding(self._finite(part)) for part in stored]
        tall = tall_blocks(self._data)
        resolution = HARMLESS * noise_floor(parts, 0.0, self.shape)
        values = singular_values(tall, self._tall_shape, resolution=resolution, device=self._device)
        # So that their sum, the nuclear norm, is a number too; not(<=) holds for NaN.
        if not values[0] <= sys.float_info.max / len(values):
            raise NonFinite(
                f"{self.label.layer} ({self.label.tensor}) has entries so large that its singular "
                "values are beyond float64 (1e308): there is no spectrum"
            )
        floor = noise_floor(parts, float(values[0]), self.shape)
        return Spectrum(key, values, *self.shape, floor, effective_dtype(parts))

    def _finite(self, data: Rows) -> Iterator[Tensor]:
        for block in tall_blocks(data)():
            if not all(extreme.isfinite() for extreme in block.aminmax()):
                raise NonFinite(
                    f"{self.label.layer} ({self.label.tensor}) holds NaN or infinity: "
                    "there is no spectrum; the checkpoint is damaged or its training diverged"
                )
            yield block

    def _shuffle(self, key: str, seed: int) -> Spectrum:
        own = self.spectrum()
        entries = shuffled_entries(self._data, seed).view(self._tall_shape)
        values = singular_values(
            blocks_of(entries),
            self._tall_shape,
            resolution=HARMLESS * own.noise_floor,
            device=self._device,
        )
        return Spectrum(key, values, *self.shape)

    def _draw(self, key: str, seed: int) -> Spectrum:
        rows, cols = self.shape
        turned = self._recall(noise_key(cols, rows, seed)) if rows != cols else None
        if turned is not None:
            return replace(turned, key=key, rows=rows, cols=cols)
        values = singular_values(
            noise_blocks(self._tall_shape, seed),
            self._tall_shape,
            resolution=HARMLESS_IN_NOISE,
            device=self._device,
        )
        return Spectrum(key, values, rows, cols)

    @property
    def _tall_shape(self) -> tuple[int, int]:
        return max(self.shape), min(self.shape)


def noise_key(rows: int, cols: int, seed: int) -> str:
    """Return the key under which the noise spectrum of a shape is stored."""
    return f"noise-{rows}x{cols}-seed{seed}"


def effective_dtype(parts: Sequence[Rounding]) -> str:
    """Return the coarsest of the formats that the parts were rounded to.

    One entry outside a format makes the part count as the next wider one that holds them all.
    """
    return max(parts, key=lambda part: part.norm).dtype
