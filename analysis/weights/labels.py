"""What a matrix is called, and the spectrum that is kept of it; without torch."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Label:
    """Where a matrix sits in its model; see `view` for which part of the tensor it is."""

    layer: str  # unique display name in the model
    tensor: str  # name in the file
    module: str  # "q", "k", "v", "o", "gate", "up", "down", "embed", "head", ... or its own name
    block: int | None
    view: str = (
        "whole"  # or "head 3", "part q", "expert 2", "flattened", "slice 0,1", "delta head 3"
    )
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


def noise_key(rows: int, cols: int, seed: int) -> str:
    """Return the key under which the noise spectrum of a shape is stored."""
    return f"noise-{rows}x{cols}-seed{seed}"
