"""How two trials of one model differ on the very same windows, with a bootstrap interval.

Most of the spread of a window's loss is the text's own and cancels in pairs. Efron & Tibshirani
(1993), An Introduction to the Bootstrap, chapter 13; in numpy, for pages import no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

RESAMPLES = 4000
DRAWN_AT_ONCE = 2**20  # indices
SAME = 1e-3  # relative: what another device's rounding moves of a window's loss


@dataclass(frozen=True)
class Difference:
    """First minus second in nats per token, with the ends of its 95 % interval."""

    mean: float
    low: float
    high: float


def loss_difference(
    first: np.ndarray, second: np.ndarray, counts: np.ndarray, seed: int = 0
) -> Difference:
    """Return (Σ first - Σ second) / Σ counts, with a percentile interval over windows.

    `first` and `second` (windows,) are sums of nats, `counts` their tokens. Windows are drawn with
    replacement, each with its tokens. One window gives no interval: NaN. Raises ValueError without
    any, or when the three are not of one length.
    """
    if not len(first) == len(second) == len(counts) or not len(counts):
        raise ValueError(
            "expected one or more windows of both trials with their tokens, "
            f"got {len(first)}, {len(second)} and {len(counts)}"
        )
    apart = np.asarray(first, float) - np.asarray(second, float)
    tokens = np.asarray(counts, float)
    mean = float(apart.sum() / tokens.sum())
    windows = len(tokens)
    if windows == 1:
        return Difference(mean, float("nan"), float("nan"))
    generator = np.random.default_rng(seed)
    rows = max(1, DRAWN_AT_ONCE // windows)
    means = []
    for start in range(0, RESAMPLES, rows):
        drawn = generator.integers(windows, size=(min(rows, RESAMPLES - start), windows))
        means.append(apart[drawn].sum(1) / tokens[drawn].sum(1))
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return Difference(mean, float(low), float(high))


def why_not(first: Mapping[str, Any], second: Mapping[str, Any]) -> str:
    """Return why two trials' losses cannot be subtracted window by window, "" where they can.

    They must have been measured on the same text under the same protocol, on windows of the same
    tokens, on which the dense model lost the same: a window drawn elsewhere would show there.
    """
    if "spearman" in (first["metric"], second["metric"]):
        return "the interval of a difference of Spearman's ρ needs people's scores of the pairs"
    if first["evaluated_on"] != second["evaluated_on"]:
        return "they were measured on different texts or under different protocols"
    ours, theirs = (_windows(row) for row in (first, second))
    if not all(len(part) == len(ours[0]) for part in (*ours, *theirs)) or not len(ours[0]):
        return "they were measured on different windows"
    alike = np.array_equal(ours[0], theirs[0]) and np.allclose(ours[2], theirs[2], rtol=SAME)
    return "" if alike else "they were measured on different windows"


def of_trials(first: Mapping[str, Any], second: Mapping[str, Any], seed: int = 0) -> Difference:
    """Return the paired difference of two trials' rows, for which `why_not` says nothing."""
    counts, ours, _ = _windows(first)
    return loss_difference(ours, _windows(second)[1], counts, seed)


def _windows(row: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a trial's tokens, nats and the dense model's nats by window."""
    counts, nats, dense = (
        np.asarray([] if row[name] is None else row[name], float)
        for name in ("counts", "nats", "dense_nats")
    )
    return counts, nats, dense
