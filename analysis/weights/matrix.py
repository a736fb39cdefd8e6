"""One labelled weight matrix, and the spectra that belong to it.

`Matrix` is what an analysis of unit "matrix" receives. Its decomposition runs at most once: each
spectrum is recalled by key where the store has it, and otherwise computed and kept in `fresh` for
the store. The entries are read in blocks of rows; no float64 copy of a tall matrix is ever made.
"""

import hashlib
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from analysis.numerics.decomposition import EPS, leading_vectors, singular_values
from analysis.numerics.low_rank import LowRank
from analysis.numerics.noise_floor import coarsest, noise_floor, rounding
from analysis.numerics.row_blocks import (
    InMemory,
    block_rows,
    blocks_of,
    in_float64,
    noise_blocks,
    shuffled_entries,
    tall_blocks,
)
from analysis.numerics.row_blocks import Rows as Rows
from analysis.registry import AnalysisError
from analysis.weights.labels import Label as Label
from analysis.weights.labels import LayerSpectrum as LayerSpectrum
from analysis.weights.labels import Spectrum as Spectrum
from analysis.weights.labels import noise_key

HARMLESS = 1e-2  # of the noise floor: an error of the decomposition that no measure can see
HARMLESS_IN_NOISE = 1e-8  # of the edge of a generated matrix
LEADING = 64
RESOLVED = 1e-6  # of σ₁: smaller singular values have no trustworthy vectors


class NonFinite(AnalysisError):  # noqa: N818  a finding, not a fault
    """A matrix holds NaN or infinity, or its norm is infinite, so it has no spectrum."""


class ZeroMatrix(AnalysisError):  # noqa: N818  as above
    """Every entry of a matrix is zero, or may be rounding, so there is nothing to measure."""


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
        """Bytes of the entries as stored, of a low-rank update those of its factors."""
        if isinstance(self._data, LowRank):
            return self._data.stored_bytes
        return self.shape[0] * self.shape[1] * self._data.dtype.itemsize

    def dense(self) -> Tensor:
        """Return the whole matrix in its stored dtype, read anew at each call."""
        return self._data.rows(0, self.shape[0])

    def factors(self) -> tuple[Tensor, Tensor] | None:
        """Return B (rows x r) and A (r x cols), float64, with W = BA; None where W has none."""
        return self._data.factors if isinstance(self._data, LowRank) else None

    def blocks(self) -> Iterator[tuple[int, Tensor]]:
        """Yield (first row, rows in float64) from top to bottom.

        A block is good until the next one is asked for: all of them share one buffer.
        """
        rows, cols = self.shape
        step = block_rows(cols)
        starts = range(0, rows, step)
        stored = (self._data.rows(start, min(start + step, rows)) for start in starts)
        yield from zip(starts, in_float64(stored), strict=True)

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

        Here alone a low-rank update is formed whole: its entries have no factors once shuffled.
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
        if isinstance(self._data, LowRank):
            U, V = (vectors.half().numpy() for vectors in self._data.leading_vectors(count))
            return U, V
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
        error, dtype = self._error()
        if isinstance(self._data, LowRank):
            values = self._data.singular_values()
        else:
            values = singular_values(
                tall_blocks(self._data),
                self._tall_shape,
                resolution=HARMLESS * error,
                device=self._device,
            )
        # So that their sum, the nuclear norm, is a number too; not(<=) holds for NaN.
        if not values[0] <= sys.float_info.max / len(values):
            raise NonFinite(
                f"{self.label.layer} ({self.label.tensor}) has entries so large that its singular "
                "values are beyond float64 (1e308): there is no spectrum"
            )
        floor = max(error, float(values[0]) * max(self.shape) * EPS)
        return Spectrum(key, values, *self.shape, floor, dtype)

    def _error(self) -> tuple[float, str]:
        """Return what the rounding of the stored entries does at most, and their format."""
        stored = getattr(self._data, "rounded", [self._data])
        parts = [rounding(self._finite(part)) for part in stored]
        estimate = getattr(self._data, "error", None)
        if estimate is not None:
            bound, dtype = estimate()
            return float(bound), str(dtype)
        return noise_floor(parts, 0.0, self.shape), coarsest(parts)

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
