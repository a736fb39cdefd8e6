"""How sure the mean of paired differences is: a percentile bootstrap over the pairs.

Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.
"""

import torch
from torch import Tensor

RESAMPLES = 4000


def paired_interval(differences: Tensor, seed: int) -> tuple[float, float, float]:
    """Return the mean of the differences (n,) and the ends of its 95 % interval.

    Pairs are drawn with replacement, `RESAMPLES` times. One pair gives no interval: its ends are
    NaN. Raises ValueError without any.
    """
    count = len(differences)
    if not count:
        raise ValueError("expected at least one pair, got none")
    mean = float(differences.mean())
    if count == 1:
        return mean, float("nan"), float("nan")
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(count, (RESAMPLES, count), generator=generator)
    means = differences.double().cpu()[drawn].mean(1)
    low, high = means.quantile(means.new_tensor([0.025, 0.975])).tolist()
    return mean, low, high
