"""A mean over seeded random probes, with its standard error and 95 % interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean and its standard error; None for a single probe, which tells of no spread."""

    mean: float
    se: float | None
    reach: float | None  # half of the interval's width: t se

    @property
    def low(self) -> float | None:
        """Lower end of the 95 % interval."""
        return None if self.reach is None else self.mean - self.reach

    @property
    def high(self) -> float | None:
        """Upper end of the 95 % interval."""
        return None if self.reach is None else self.mean + self.reach


def estimate(samples: Sequence[float] | np.ndarray) -> Estimate:
    """Return the mean of independent samples with Student's interval of n - 1 degrees."""
    values = np.asarray(samples, float)
    if len(values) < 2:
        return Estimate(float(values.mean()), None, None)
    se = float(values.std(ddof=1) / np.sqrt(len(values)))
    return Estimate(float(values.mean()), se, students(len(values)) * se)


def students(count: int) -> float:
    """Return the quantile of Student's t that an interval from `count` samples takes."""
    return float(scipy.stats.t.ppf(0.5 + CONFIDENCE / 2, count - 1))
