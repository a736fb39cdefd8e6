"""The columns of a WeightWatcher table, under their own names, with its defects mended.

λ = σ², M = min(m, n), N = max(m, n), Q = N/M. What is not as there, and why:

- `matrix_rank`, `rank_loss`: WeightWatcher casts to float64 before it takes float64's eps, and
  finds rank 256 in an exactly rank-16 float32 matrix. Here: singular values above the noise floor
  of the stored digits.
- `entropy`: normalised by ln(matrix_rank), so 0.491 there where it is 0.982; and its p = λ/Σλ + ε
  has another ε on a GPU. Here: that rank mended, no ε.
- `weak_rank_loss`: λ < 1e-6 there, which counts the scale. Here: λ < 1e-6 λ_max.
- `alpha`, `xmin`, `D`, `sigma`, `num_pl_spikes`: the fit there takes λ > 1e-5 and so changes with
  the scale of W. Here: every λ above the noise floor.
- `sigma_mp`, `bulk_max`, `bulk_min`, `mp_softrank`: a brute-force fit to a kernel density there,
  whose smeared edge gives pure noise a soft rank of 1.023. Here: from the median, in closed form; a
  soft rank above 1 only says that no eigenvalue leaves the bulk, and is 1.
- `num_spikes`, `rand_num_spikes`: there above the edge plus √(Q^-½ λ₊^⅔ M^-⅔), a mistaken form of
  the Tracy-Widom edge, which rescaling W shifts against the bulk. Here: above that edge, with
  the false positives that `bulk` names; null below 10 singular values.
- `rand_distance`, `ww_softrank`, `ww_maxdist`, `rand_num_spikes`: the shuffle is seeded.
- `detX_num`: only λ above the noise floor are rescaled and counted; null where all are equal.
- every column is taken of σ/σ₁, so no square leaves float64; one in units of λ that itself does is
  null, and `lambda_reason` says so.
- no layer is dropped for its size; convolutions are labelled as flattened or slices, and their λ
  are not halved.

`alpha_weighted`, `log_alpha_norm`, the norms and `ww_maxdist` depend on the scale of W by
definition.

Martin & Mahoney (2021), https://arxiv.org/abs/1810.01075
https://github.com/CalculatedContent/WeightWatcher
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.distance import jensenshannon

from analysis.numerics import columns, flat, scale
from analysis.numerics.bulk import FALSE_POSITIVES, Bulk, bulk
from analysis.numerics.decomposition import EPS
from analysis.numerics.marchenko_pastur import edges
from analysis.numerics.power_law import PowerLaw
from analysis.numerics.ranks import entropy

WEAK = 1e-6
OVER_TRAINED, UNDER_TRAINED = 2.0, 6.0


@dataclass(frozen=True, kw_only=True)
class WeightWatcher:
    """Columns named as in WeightWatcher; `alpha` and `stable_rank` stand among the others."""

    N: int = columns.note("N", "larger dimension")
    M: int = columns.note("M", "smaller dimension")
    Q: float = columns.note("Q", "N/M")
    norm: float | None = columns.norm("norm", "Σλ: the squared Frobenius norm")
    log_norm: float = columns.norm("log norm", "log10 Σλ")
    spectral_norm: float | None = columns.norm("spectral norm (λ)", "λ_max, the square of σ₁")
    log_spectral_norm: float = columns.norm("log spectral norm", "log10 λ_max")
    xmin: float | None = columns.exponent("xmin", "eigenvalue at which the fitted tail starts")
    D: float | None = columns.exponent("D", "Kolmogorov-Smirnov distance of the fit")
    sigma: float | None = columns.exponent("σ of α", "standard error (α-1)/√n of the exponent")
    num_pl_spikes: int | None = columns.count("power-law spikes", "eigenvalues from xmin on")
    alpha_weighted: float | None = columns.exponent("weighted α", "α log10 λ_max")
    log_alpha_norm: float | None = columns.exponent("log α norm", "log10 Σ λ^α")
    warning: str | None = columns.note("warning", "over-trained: α < 2; under-trained: α > 6")
    matrix_rank: int = columns.count("matrix rank", "singular values above the noise floor")
    rank_loss: int = columns.count("rank loss", "M - matrix_rank")
    weak_rank_loss: int = columns.count("weak rank loss", "eigenvalues below 1e-6 λ_max")
    entropy: float | None = columns.ratio(
        "entropy", "-Σ p ln p / ln(matrix_rank), p = λ/Σλ; 1: flat; null where the rank is 1 or 0"
    )
    sigma_mp: float | None = columns.norm(
        "σ of the MP bulk", "bulk σ after rescaling to mean λ = 1"
    )
    bulk_max: float | None = columns.norm("bulk max", "upper Marchenko-Pastur edge, in λ")
    bulk_min: float | None = columns.norm("bulk min", "lower Marchenko-Pastur edge, in λ")
    mp_softrank: float | None = columns.ratio("MP soft rank", "bulk_max/λ_max, at most 1")
    num_spikes: int | None = columns.count(
        "spikes",
        f"eigenvalues above the Tracy-Widom edge of the bulk; about {FALSE_POSITIVES} have one by "
        "chance",
    )
    rand_distance: float = columns.ratio(
        "distance to shuffled",
        "Jensen-Shannon distance of the sorted λ to those of shuffled W: 0 (the same) to "
        "√(ln 2) = 0.83",
    )
    ww_softrank: float = columns.ratio("WW soft rank", "λ_max of shuffled W over λ_max")
    ww_maxdist: float | None = columns.norm("WW max distance", "λ_max - λ_max of shuffled W")
    rand_num_spikes: int | None = columns.count(
        "correlation traps",
        f"eigenvalues of shuffled W above its own Tracy-Widom edge; about {FALSE_POSITIVES} have "
        "one by chance",
    )
    detX_num: int | None = columns.count(  # noqa: N815  WeightWatcher's own name
        "detX spikes",
        "least k whose top k eigenvalues, rescaled to mean 1, have a product < 1; null where all "
        "are equal up to rounding",
    )
    ERG_gap: int | None = columns.count("ERG gap", "detX_num - num_pl_spikes")
    lambda_reason: str | None = columns.note(
        "no λ", "why columns in units of λ are null, where float64 cannot hold σ²"
    )


def weightwatcher(
    values: np.ndarray,
    shuffled: np.ndarray,
    shape: tuple[int, int],
    fitted: PowerLaw,
    noise: Bulk,
    floor: float,
) -> WeightWatcher:
    """Fill the table from descending σ of W and of shuffled W; `floor` is the noise floor."""
    signal = int((values > floor).sum())
    relative = (values / values[0]) ** 2
    found = {
        **_sizes(relative, values[0], shape),
        **_tail(values, fitted),
        **_rank(relative, signal),
        **_bulk(relative, values[0], shape, noise),
        **_randomised(values, shuffled, shape),
        **_product(values[:signal], fitted, floor),
    }
    return WeightWatcher(**found, lambda_reason=_lambda_reason(found, fitted, noise))


def detx_number(eigenvalues: np.ndarray) -> int:
    """Return the least k with Π_{i<=k} λᵢ/mean(λ) < 1 over descending positive eigenvalues.

    0 when there is none, as for equal eigenvalues.
    """
    if not len(eigenvalues):
        return 0
    products = np.cumsum(np.log(eigenvalues / eigenvalues.mean()))
    below = products < 0
    return int(below.argmax()) + 1 if below.any() else 0


def log10_power_sum(values: np.ndarray, power: float) -> float:
    """Return log10 Σ v^power without overflow, over positive descending values."""
    top = values[0]
    return float(power * np.log10(top) + np.log10(((values / top) ** power).sum()))


def _sizes(relative: np.ndarray, top: float, shape: tuple[int, int]) -> dict[str, Any]:
    total, log_top = float(relative.sum()), 2 * float(np.log10(top))
    return {
        "N": max(shape),
        "M": min(shape),
        "Q": max(shape) / min(shape),
        "norm": scale.squared_units(total, top),
        "log_norm": float(np.log10(total)) + log_top,
        "spectral_norm": scale.squared_units(1.0, top),
        "log_spectral_norm": log_top,
    }


def _tail(values: np.ndarray, fitted: PowerLaw) -> dict[str, Any]:
    alpha, points = fitted.alpha, fitted.alpha_points
    if alpha is None or points is None:
        names = ("xmin", "D", "sigma", "num_pl_spikes", "alpha_weighted", "log_alpha_norm")
        return dict.fromkeys((*names, "warning"))
    return {
        "xmin": fitted.alpha_xmin,
        "D": fitted.alpha_ks,
        "sigma": (alpha - 1) / points**0.5,
        "num_pl_spikes": points,
        "alpha_weighted": alpha * 2 * float(np.log10(values[0])),
        "log_alpha_norm": log10_power_sum(values, 2 * alpha),
        "warning": _warning(alpha),
    }


def _warning(alpha: float) -> str | None:
    if alpha < OVER_TRAINED:
        return "over-trained"
    return "under-trained" if alpha > UNDER_TRAINED else None


def _rank(relative: np.ndarray, signal: int) -> dict[str, Any]:
    return {
        "matrix_rank": signal,
        "rank_loss": len(relative) - signal,
        "weak_rank_loss": int((relative < WEAK).sum()),
        "entropy": entropy(relative[:signal]) / float(np.log(signal)) if signal > 1 else None,
    }


def _product(signal: np.ndarray, fitted: PowerLaw, floor: float) -> dict[str, Any]:
    """Fill detX and its gap from the σ above the noise floor; null where these are equal."""
    if not len(signal) or flat.is_flat(signal, floor):
        return {"detX_num": None, "ERG_gap": None}
    number, points = detx_number((signal / signal[0]) ** 2), fitted.alpha_points
    return {"detX_num": number, "ERG_gap": None if points is None else number - points}


def _bulk(relative: np.ndarray, top: float, shape: tuple[int, int], noise: Bulk) -> dict[str, Any]:
    if noise.mp_sigma is None:
        names = ("sigma_mp", "bulk_max", "bulk_min", "mp_softrank", "num_spikes")
        return dict.fromkeys(names)
    low, high = edges(min(shape) / max(shape))
    level = noise.mp_sigma / top
    return {
        "sigma_mp": level / float(np.sqrt(relative.mean())),
        "bulk_max": scale.squared_units(high, noise.mp_sigma),
        "bulk_min": scale.squared_units(low, noise.mp_sigma),
        "mp_softrank": min(1.0, high * level**2),
        "num_spikes": noise.tw_spikes,
    }


def _randomised(values: np.ndarray, shuffled: np.ndarray, shape: tuple[int, int]) -> dict[str, Any]:
    softrank = float(shuffled[0] / values[0]) ** 2
    signal = int((shuffled > shuffled[0] * max(shape) * EPS).sum())
    own, random = (values / values[0]) ** 2, (shuffled / shuffled[0]) ** 2
    return {
        "rand_distance": float(jensenshannon(own, random)),
        "ww_softrank": softrank,
        "ww_maxdist": scale.squared_units(1 - softrank, float(values[0])),
        "rand_num_spikes": bulk(shuffled, shape, signal).tw_spikes,
    }


def _lambda_reason(found: dict[str, Any], fitted: PowerLaw, noise: Bulk) -> str | None:
    measured = ["norm", "spectral_norm", "ww_maxdist"]
    measured += [] if fitted.alpha is None else ["xmin"]
    measured += [] if noise.mp_sigma is None else ["bulk_max", "bulk_min"]
    return scale.REASON if any(found[name] is None for name in measured) else None
