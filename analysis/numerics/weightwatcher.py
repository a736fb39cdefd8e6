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
  the Tracy-Widom edge, which rescaling W shifts against the bulk. Here: above that edge (5 %).
- `rand_distance`, `ww_softrank`, `ww_maxdist`, `rand_num_spikes`: the shuffle is seeded.
- `detX_num`: only λ above the noise floor are rescaled and counted.
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

from analysis.numerics import columns
from analysis.numerics.bulk import Bulk, bulk
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
    norm: float = columns.norm("norm", "Σλ: the squared Frobenius norm")
    log_norm: float = columns.norm("log norm", "log10 Σλ")
    spectral_norm: float = columns.norm("spectral norm (λ)", "λ_max, the square of σ₁")
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
    entropy: float = columns.ratio("entropy", "-Σ p ln p / ln(matrix_rank), p = λ/Σλ; 1: flat")
    sigma_mp: float | None = columns.norm(
        "σ of the MP bulk", "bulk σ after rescaling to mean λ = 1"
    )
    bulk_max: float | None = columns.norm("bulk max", "upper Marchenko-Pastur edge, in λ")
    bulk_min: float | None = columns.norm("bulk min", "lower Marchenko-Pastur edge, in λ")
    mp_softrank: float | None = columns.ratio("MP soft rank", "bulk_max/λ_max, at most 1")
    num_spikes: int | None = columns.count(
        "spikes", "eigenvalues above the Tracy-Widom edge of the bulk"
    )
    rand_distance: float = columns.ratio(
        "distance to shuffled", "Jensen-Shannon distance of the sorted λ to those of shuffled W"
    )
    ww_softrank: float = columns.ratio("WW soft rank", "λ_max of shuffled W over λ_max")
    ww_maxdist: float = columns.norm("WW max distance", "λ_max - λ_max of shuffled W")
    rand_num_spikes: int | None = columns.count(
        "correlation traps", "eigenvalues of shuffled W above its own Tracy-Widom edge"
    )
    detX_num: int = columns.count(  # noqa: N815  WeightWatcher's own name
        "detX spikes", "least k whose top k eigenvalues, rescaled to mean 1, have a product < 1"
    )
    ERG_gap: int | None = columns.count("ERG gap", "detX_num - num_pl_spikes")


def weightwatcher(
    values: np.ndarray,
    shuffled: np.ndarray,
    shape: tuple[int, int],
    fitted: PowerLaw,
    noise: Bulk,
    signal: int,
) -> WeightWatcher:
    """Fill the table from descending σ of W and of shuffled W; `signal` is the numerical rank."""
    eigenvalues = values * values
    detx = detx_number(eigenvalues[:signal])
    points = fitted.alpha_points
    return WeightWatcher(
        **_sizes(eigenvalues, shape),
        **_tail(eigenvalues, fitted),
        **_rank(eigenvalues, signal),
        **_bulk(eigenvalues, shape, noise),
        **_randomised(values, shuffled, shape),
        detX_num=detx,
        ERG_gap=None if points is None else detx - points,
    )


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


def _sizes(eigenvalues: np.ndarray, shape: tuple[int, int]) -> dict[str, Any]:
    total, top = float(eigenvalues.sum()), float(eigenvalues[0])
    return {
        "N": max(shape),
        "M": min(shape),
        "Q": max(shape) / min(shape),
        "norm": total,
        "log_norm": float(np.log10(total)),
        "spectral_norm": top,
        "log_spectral_norm": float(np.log10(top)),
    }


def _tail(eigenvalues: np.ndarray, fitted: PowerLaw) -> dict[str, Any]:
    alpha, points = fitted.alpha, fitted.alpha_points
    if alpha is None or points is None:
        names = ("xmin", "D", "sigma", "num_pl_spikes", "alpha_weighted", "log_alpha_norm")
        return dict.fromkeys((*names, "warning"))
    return {
        "xmin": fitted.alpha_xmin,
        "D": fitted.alpha_ks,
        "sigma": (alpha - 1) / points**0.5,
        "num_pl_spikes": points,
        "alpha_weighted": alpha * float(np.log10(eigenvalues[0])),
        "log_alpha_norm": log10_power_sum(eigenvalues, alpha),
        "warning": _warning(alpha),
    }


def _warning(alpha: float) -> str | None:
    if alpha < OVER_TRAINED:
        return "over-trained"
    return "under-trained" if alpha > UNDER_TRAINED else None


def _rank(eigenvalues: np.ndarray, signal: int) -> dict[str, Any]:
    share = entropy(eigenvalues[:signal]) / np.log(signal) if signal > 1 else 0.0
    return {
        "matrix_rank": signal,
        "rank_loss": len(eigenvalues) - signal,
        "weak_rank_loss": int((eigenvalues < WEAK * eigenvalues[0]).sum()),
        "entropy": float(share),
    }


def _bulk(eigenvalues: np.ndarray, shape: tuple[int, int], noise: Bulk) -> dict[str, Any]:
    if noise.mp_sigma is None:
        names = ("sigma_mp", "bulk_max", "bulk_min", "mp_softrank", "num_spikes")
        return dict.fromkeys(names)
    low, high = (noise.mp_sigma**2 * edge for edge in edges(min(shape) / max(shape)))
    return {
        "sigma_mp": noise.mp_sigma / float(np.sqrt(eigenvalues.mean())),
        "bulk_max": high,
        "bulk_min": low,
        "mp_softrank": min(1.0, high / float(eigenvalues[0])),
        "num_spikes": noise.tw_spikes,
    }


def _randomised(values: np.ndarray, shuffled: np.ndarray, shape: tuple[int, int]) -> dict[str, Any]:
    top, random_top = float(values[0]) ** 2, float(shuffled[0]) ** 2
    signal = int((shuffled > shuffled[0] * max(shape) * EPS).sum())
    return {
        "rand_distance": float(jensenshannon(values**2, shuffled**2)),
        "ww_softrank": random_top / top,
        "ww_maxdist": top - random_top,
        "rand_num_spikes": bulk(shuffled, shape, signal).tw_spikes,
    }
