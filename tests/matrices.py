"""Matrices whose spectra are known: planted ones, and the four of the reference table."""

import numpy as np
import torch
from torch import Tensor


def orthonormal(rows: int, cols: int, generator: np.random.Generator) -> np.ndarray:
    return np.linalg.qr(generator.standard_normal((rows, cols)))[0]


def planted(values, rows: int, cols: int, seed: int = 0, dtype=torch.float64) -> Tensor:
    """A rows x cols matrix with these singular values in random directions."""
    generator = np.random.default_rng(seed)
    count = min(rows, cols)
    s = np.zeros(count)
    s[: len(values)] = values
    left, right = orthonormal(rows, count, generator), orthonormal(cols, count, generator)
    return torch.from_numpy((left * s) @ right.T).to(dtype)


def gauss(seed: int = 0, rows: int = 512, cols: int = 256) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, cols)) / np.sqrt(rows)


def quantiles_of_alpha_three() -> np.ndarray:
    generator = np.random.default_rng(1)
    left, right = orthonormal(512, 256, generator), orthonormal(256, 256, generator)
    eigenvalues = (1 - (np.arange(256) + 0.5) / 256) ** -0.5
    return (left * np.sqrt(eigenvalues)) @ right.T


def spiked() -> np.ndarray:
    generator = np.random.default_rng(2)
    found = generator.standard_normal((512, 256)) / np.sqrt(512)
    for size in (6, 5, 4):
        left, right = generator.standard_normal(512), generator.standard_normal(256)
        found = found + size * np.outer(left, right) / np.sqrt(512 * 256)
    return found


def rank_sixteen(seed: int = 3) -> np.ndarray:
    generator = np.random.default_rng(seed)
    left, right = generator.standard_normal((512, 16)), generator.standard_normal((16, 256))
    return left @ right / np.sqrt(512)


REFERENCE = {
    "gauss": gauss,
    "alpha3": quantiles_of_alpha_three,
    "spiked": spiked,
    "rank16": rank_sixteen,
}


def reference(name: str, dtype=torch.float32) -> Tensor:
    """One of the four matrices of the reference table, generated in float64."""
    return torch.from_numpy(REFERENCE[name]()).to(dtype)
