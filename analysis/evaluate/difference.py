"""How much worse a trial is than its dense model, with a paired 95 % bootstrap interval.

Both were measured on the same windows or pairs, so these are drawn together: most of their spread
is the text's own and cancels. Efron & Tibshirani (1993), An Introduction to the Bootstrap, ch. 13.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from analysis.evaluate.spearman import Order, spearman
from analysis.numerics.paired_interval import RESAMPLES

DRAWN_AT_ONCE = 2**20  # indices


def loss_difference(
    trial: Sequence[float], dense: Sequence[float], counts: Sequence[int], seed: int
) -> tuple[float, float, float]:
    """Return (Σ trial - Σ dense) / Σ counts in nats per token, and the ends of its interval.

    Windows are drawn with replacement, each with its tokens. One window gives no interval: NaN.
    """
    apart = torch.tensor(trial, dtype=torch.float64) - torch.tensor(dense, dtype=torch.float64)
    tokens = torch.tensor(counts, dtype=torch.float64)

    def mean(times: Tensor) -> Tensor:
        return (times @ apart) / (times @ tokens)

    return _interval(mean, len(apart), seed)


def order_difference(
    trial: Sequence[float], dense: Sequence[float], gold: Sequence[float], seed: int
) -> tuple[float, float, float]:
    """Return Spearman's ρ of dense minus that of the trial, and the ends of its interval."""
    order = Order(gold)
    better, worse = Order(dense), Order(trial)
    return _interval(
        lambda times: spearman(better, order, times) - spearman(worse, order, times),
        len(gold),
        seed,
    )


def _interval(
    statistic: Callable[[Tensor], Tensor], count: int, seed: int
) -> tuple[float, float, float]:
    """Return a statistic of how often each item counts, (R, count) to (R,), and its interval."""
    value = float(statistic(torch.ones(1, count, dtype=torch.float64)))
    if count == 1:
        return value, float("nan"), float("nan")
    generator = torch.Generator().manual_seed(seed)
    rows = max(1, DRAWN_AT_ONCE // count)
    drawn = [
        statistic(_times(min(rows, RESAMPLES - start), count, generator))
        for start in range(0, RESAMPLES, rows)
    ]
    ends = torch.tensor([0.025, 0.975], dtype=torch.float64)
    low, high = torch.cat(drawn).quantile(ends).tolist()
    return value, low, high


def _times(rows: int, count: int, generator: torch.Generator) -> Tensor:
    """Return how often each item is drawn in each resample, (rows, count)."""
    drawn = torch.randint(count, (rows, count), generator=generator)
    times = torch.zeros(rows, count, dtype=torch.float64)
    return times.scatter_add_(1, drawn, torch.ones_like(times))
