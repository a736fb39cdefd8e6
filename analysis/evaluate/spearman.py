"""Spearman's rank correlation, of items that may count several times.

With t_i the times that item i counts, ties take the mean of their ranks: the rank of a value is the
number of items below it plus half of one more than those equal to it. ρ is Pearson's correlation of
the ranks. https://en.wikipedia.org/wiki/Spearman%27s_rank_correlation_coefficient
"""

from collections.abc import Sequence

import torch
from torch import Tensor


class Order:
    """The order of values, found once for any number of resamples."""

    def __init__(self, values: Sequence[float]) -> None:
        held = torch.tensor(values, dtype=torch.float64)
        self.group = torch.unique(held, return_inverse=True)[1]  # (n,) equal values share one

    def ranks(self, times: Tensor) -> Tensor:
        """Return the ranks of all items in each resample, (R, n), by how often they count there."""
        groups = int(self.group.max()) + 1
        size = times.new_zeros(len(times), groups).index_add_(1, self.group, times)
        return (size.cumsum(1) - size + (size + 1) / 2)[:, self.group]


def spearman(one: Order, other: Order, times: Tensor | None = None) -> Tensor:
    """Return ρ of each resample, (R,); `times` (R, n) None: every item once.

    Values that are all equal order nothing: ρ is 0.
    """
    if times is None:
        times = torch.ones(1, len(one.group), dtype=torch.float64)
    a, b = (_centred(order.ranks(times), times) for order in (one, other))
    spread = ((times * a * a).sum(1) * (times * b * b).sum(1)).sqrt()
    return (times * a * b).sum(1) / spread.clamp(min=torch.finfo(spread.dtype).tiny)


def _centred(ranks: Tensor, times: Tensor) -> Tensor:
    return ranks - (times * ranks).sum(1, keepdim=True) / times.sum(1, keepdim=True)
