"""One threshold on the normalised singular values of all layers, as WeLore sets it.

s̃ = (σ - σ_min) / (σ_max - σ_min) in each layer; a direction is pruned when s̃ < τ. The threshold for
a target share of all ranks is an order statistic of the pooled s̃, so nothing is searched.

Jaiswal et al. (2024), https://arxiv.org/abs/2407.11239
"""

from collections.abc import Sequence

import numpy as np

FLAT = 1e-5


def normalised(values: np.ndarray, flat_below: float = 0.0) -> np.ndarray:
    """Return s̃ of descending singular values.

    Where σ_max - σ_min is at most `flat_below` (rounding) or 1e-5 σ_max (an orthogonal matrix made
    in float32), no direction is smaller than another: every s̃ is 1 and nothing is pruned.
    """
    spread = values[0] - values[-1]
    if spread <= max(flat_below, FLAT * values[0]):
        return np.ones_like(values)
    found: np.ndarray = (values - values[-1]) / spread
    return found


def solve(layers: Sequence[np.ndarray], target: float) -> float:
    """Return τ in [0, 1] such that the share of pooled s̃ below τ is nearest to `target`.

    Exact to one direction and to ties, which fall together on the nearer side. The smallest s̃ of
    each layer is 0, so a share below layers/Σr is met by 0. Raises ValueError for a target outside
    [0, 1].
    """
    if not 0 <= target <= 1:
        raise ValueError(f"expected a target between 0 and 1, got {target}")
    pooled = np.sort(np.concatenate(layers))
    wanted = target * len(pooled)
    here = pooled[min(round(wanted), len(pooled) - 1)]
    fewer, more = np.searchsorted(pooled, here, "left"), np.searchsorted(pooled, here, "right")
    if more < len(pooled) and more - wanted < wanted - fewer:
        return float(pooled[more])
    return float(here)


def pruned(scaled: np.ndarray, threshold: float) -> int:
    """Return how many directions of one layer are below the threshold."""
    return int((scaled < threshold).sum())
