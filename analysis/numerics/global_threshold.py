"""One threshold on the normalised singular values of all layers, as WeLore sets it.

s̃ = (σ - σ_min) / (σ_max - σ_min) in each layer; a direction is pruned when s̃ < τ. The threshold for
a target share of all ranks lies between two order statistics of the pooled s̃: nothing is searched.

Jaiswal et al. (2024), https://arxiv.org/abs/2407.11239
"""

from collections.abc import Sequence

import numpy as np

from analysis.numerics.flat import is_flat


def normalised(values: np.ndarray, flat_below: float = 0.0) -> np.ndarray:
    """Return s̃ of descending singular values.

    Where they are equal up to rounding (`flat_below` is the noise floor), no direction is smaller
    than another: every s̃ is 1 and nothing is pruned.
    """
    if is_flat(values, flat_below):
        return np.ones_like(values)
    found: np.ndarray = (values - values[-1]) / (values[0] - values[-1])
    return found


def solve(layers: Sequence[np.ndarray], target: float) -> float:
    """Return τ in [0, 1] such that the share of pooled s̃ below τ is nearest to `target`.

    Exact to one direction and to ties, which fall together on the nearer side. τ is the middle of
    the gap between the last pruned s̃ and the next one, so that neither the last digit of an s̃ nor
    printing τ moves a direction. The smallest s̃ of each layer is 0, so a share below layers/Σr is
    met by 0. Raises ValueError for a target outside [0, 1].
    """
    if not 0 <= target <= 1:
        raise ValueError(f"expected a target between 0 and 1, got {target}")
    pooled = np.sort(np.concatenate(layers))
    wanted = target * len(pooled)
    here = pooled[min(round(wanted), len(pooled) - 1)]
    fewer, more = np.searchsorted(pooled, here, "left"), np.searchsorted(pooled, here, "right")
    nearer = more < len(pooled) and more - wanted < wanted - fewer
    return _between(pooled, int(more if nearer else fewer))


def _between(pooled: np.ndarray, count: int) -> float:
    """Return a τ that prunes the `count` smallest: the middle of the gap above them."""
    if count == 0:
        return 0.0
    low, high = float(pooled[count - 1]), float(pooled[count])
    middle = (low + high) / 2
    return middle if middle > low else high


def pruned(scaled: np.ndarray, threshold: float) -> int:
    """Return how many directions of one layer are below the threshold."""
    return int((scaled < threshold).sum())
