"""Every measure of one spectrum, as the columns of a result row."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from analysis.numerics.bulk import bulk
from analysis.numerics.columns import count, note, ratio
from analysis.numerics.noise_ratio import noise_ratios
from analysis.numerics.power_law import power_law
from analysis.numerics.ranks import Ranks, ranks
from analysis.numerics.weightwatcher import weightwatcher


@dataclass(frozen=True, kw_only=True)
class Shuffled:
    """Columns of the seeded shuffled baseline: the same entries without their arrangement."""

    shuffled_effective_rank_sigma: float = note("shuffled effective rank (σ)", "of shuffled W")
    shuffled_effective_rank_energy: float = note("shuffled effective rank (σ²)", "of shuffled W")
    shuffled_stable_rank: float = note("shuffled stable rank", "of shuffled W")
    shuffled_spikes: int = count("σ above the shuffled", "σ of W above the largest of shuffled W")
    shuffled_overlap: float = ratio(
        "energy above the shuffled", "share of Σσ² in the σ above the largest of shuffled W"
    )


@dataclass(frozen=True)
class Options:
    """How to measure: the seed and size of the bootstrap, known noise, only σ above the floor."""

    seed: int = 0
    bootstrap: int = 0
    noise_sigma: float | None = None
    signal_only: bool = False


def measures(
    values: np.ndarray,
    shape: tuple[int, int],
    floor: float,
    *,
    shuffled: np.ndarray,
    noise: np.ndarray,
    options: Options = Options(),
) -> dict[str, Any]:
    """Return every column for descending σ of W, of shuffled W and of noise of the same shape.

    `floor` is the rounding noise floor. Raises ValueError when no singular value is positive (with
    `signal_only`: above the floor).
    """
    own = ranks(values, shape, floor, signal_only=options.signal_only)
    signal = own.numerical_rank
    used = np.where(values > floor, values, 0.0) if options.signal_only else values
    fitted = power_law(used[:signal], floor, options.bootstrap, options.seed)
    against = bulk(values, shape, signal, options.noise_sigma)
    return {
        **asdict(own),
        **asdict(noise_ratios(own, ranks(noise, shape, 0.0))),
        **asdict(against),
        **asdict(_shuffled(used, ranks(shuffled, shape, 0.0))),
        **asdict(fitted),
        **asdict(weightwatcher(used, shuffled, shape, fitted, against, floor)),
    }


def _shuffled(values: np.ndarray, baseline: Ranks) -> Shuffled:
    above = values > baseline.sigma_max
    energy = (values / values[0]) ** 2
    return Shuffled(
        shuffled_effective_rank_sigma=baseline.effective_rank_sigma,
        shuffled_effective_rank_energy=baseline.effective_rank_energy,
        shuffled_stable_rank=baseline.stable_rank,
        shuffled_spikes=int(above.sum()),
        shuffled_overlap=float(energy[above].sum() / energy.sum()),
    )
