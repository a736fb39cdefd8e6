"""The rank that each layer's update gets, so that all of them hold no more than a budget.

A direction of an m x n update holds m + n numbers and keeps σᵢ². No layer has a dense option, so
the gain per number falls along every layer, and taking directions by σᵢ² / (m + n) is the best
allocation of what it holds, and within one direction of the best of the whole budget. A direction
that no longer fits closes its layer; the others go on.
"""

from collections.abc import Sequence

import numpy as np


def ranks_within(budget: int, spectra: Sequence[np.ndarray], sizes: Sequence[int]) -> list[int]:
    """Return a rank for each layer with Σ rank · size at most the budget.

    `spectra` holds σ² of each layer, descending, and `sizes` its m + n. A direction that keeps
    nothing is never taken. Raises ValueError for a budget below 0.
    """
    if budget < 0:
        raise ValueError(f"expected a budget of at least 0 numbers, got {budget}")
    ranks, left = [0] * len(spectra), budget
    still = [True] * len(spectra)
    for layer in _by_gain(spectra, sizes):
        still[layer] = still[layer] and sizes[layer] <= left
        if still[layer]:
            ranks[layer] += 1
            left -= sizes[layer]
    return ranks


def _by_gain(spectra: Sequence[np.ndarray], sizes: Sequence[int]) -> list[int]:
    """Return the layer of each direction, the greatest gain per number first."""
    if not spectra:
        return []
    gain = np.concatenate([s / size for s, size in zip(spectra, sizes, strict=True)])
    layer = np.repeat(np.arange(len(spectra)), [len(s) for s in spectra])
    order = np.argsort(-gain, kind="stable")
    found: list[int] = layer[order[gain[order] > 0]].tolist()
    return found
