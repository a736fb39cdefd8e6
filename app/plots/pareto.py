"""Which trials no other beats, where a difference inside its paired interval counts as none."""

from collections.abc import Sequence

import numpy as np

NORMAL = 1.96  # standard errors to each side of a 95 % interval
SAME = 0.005  # share by which two sizes may differ and count as one: budgets are met to a direction


def front(size: np.ndarray, lost: np.ndarray, margin: np.ndarray) -> np.ndarray:
    """Return which of n trials are on the front, bool (n,): smaller and lower are better.

    In the order of their size, and of their loss at one size, a trial is on the front if it loses
    less than each trial before it on the front by more than `margin` (n, n), the half-width of the
    interval of their difference. Of two that follow each other at nearly one size the better stays.
    """
    kept: list[int] = []
    for trial in np.lexsort((lost, size)):
        if all(lost[trial] < lost[other] - margin[trial, other] for other in kept):
            kept.append(int(trial))
    larger = [*kept[1:], None]
    found = [i for i, j in zip(kept, larger, strict=True) if not _alike(size, i, j)]
    return np.isin(np.arange(len(size)), found)


def _alike(size: np.ndarray, trial: int, larger: int | None) -> bool:
    return larger is not None and bool(size[larger] <= size[trial] * (1 + SAME))


def margins(nats: Sequence[np.ndarray], counts: np.ndarray) -> np.ndarray:
    """Return half the 95 % interval of each difference of two trials' nats per token, (n, n).

    `nats` are sums by window, `counts` its tokens. D = Σd/Σc for the differences d of two trials;
    its standard error is √(w/(w-1) Σ(d - D c)²) / Σc over w windows.
    """
    windows, tokens = len(counts), counts.sum()
    if windows < 2 or tokens <= 0:
        return np.zeros((len(nats), len(nats)))
    found = np.stack(nats).astype(float)
    residual = found - np.outer(found.sum(1) / tokens, counts)
    apart = residual[:, None, :] - residual[None, :, :]
    squared = (apart**2).sum(-1) * windows / (windows - 1)
    return NORMAL * np.sqrt(squared) / tokens


def independent(half: np.ndarray) -> np.ndarray:
    """Return the same from each trial's own half-width, as if their errors were independent."""
    return np.hypot(half[:, None], half[None, :])
