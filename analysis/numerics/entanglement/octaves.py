"""Slopes per octave, a doubling of the length, and bootstrap intervals over windows of text."""

import numpy as np


def octave_lengths(shortest: int, longest: int) -> list[int]:
    """Return shortest, 2·shortest, 4·shortest, ... up to `longest`; [] where none is."""
    found = []
    while shortest <= longest:
        found.append(shortest)
        shortest *= 2
    return found


def slope_per_octave(lengths: list[int], values: np.ndarray) -> np.ndarray:
    """Return the least-squares slope over log2 of the lengths, along the last axis (two or more).

    Linear in the values, so that the slope of a mean is the mean of the slopes.
    """
    x = np.log2(lengths)
    centred = x - x.mean()
    slope: np.ndarray = values @ (centred / (centred**2).sum())
    return slope


def bootstrap_interval(
    values: np.ndarray, *, draws: int, seed: int, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the percentile interval of the mean over the first axis, the windows.

    Every entry is resampled with the same windows, so that differences of entries are paired.
    None for a single window or no draws.
    """
    count = len(values)
    if count < 2 or draws < 1:
        return None
    chosen = np.random.default_rng(seed).integers(count, size=(draws, count))
    means = values[chosen].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high
