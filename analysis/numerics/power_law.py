"""The power-law tail of a spectrum: p(x) ∝ x^-α for x >= x_min.

Maximum likelihood for every candidate x_min (each distinct value but the largest):

    α = 1 + n / Σ ln(xᵢ/x_min)
    KS = max |F(xᵢ) - i/n| over i = 0 … n-1,   F(x) = 1 - (x/x_min)^(1-α)

over the n values from x_min on; the x_min of the smallest Kolmogorov-Smirnov distance wins, the
lowest one in a tie. Only ratios of values enter, so the fit does not change under W -> cW.

Clauset, Shalizi & Newman (2009), https://arxiv.org/abs/0706.1062
"""

from dataclasses import dataclass

import numpy as np

from analysis.numerics import flat
from analysis.numerics.columns import count, exponent, note
from analysis.numerics.scale import squared_units

FEWEST = 10
CHUNK_ENTRIES = 2**17


@dataclass(frozen=True)
class Fit:
    """One fitted tail: α, where it starts, its KS distance, its points, and σ = (α-1)/√n."""

    alpha: float
    xmin: float
    ks: float
    points: int

    @property
    def error(self) -> float:
        """Return the standard error of α."""
        return float((self.alpha - 1) / self.points**0.5)


@dataclass(frozen=True, kw_only=True)
class PowerLaw:
    """Columns of the fit to the eigenvalues λ = σ² above the noise floor."""

    alpha: float | None = exponent("α", "exponent of the power-law tail of λ = σ²")
    alpha_xmin: float | None = exponent("x_min", "eigenvalue λ at which the fitted tail starts")
    alpha_ks: float | None = exponent(
        "KS distance", "largest distance between the tail and its fit; small is good"
    )
    alpha_points: int | None = count("points in the tail", "eigenvalues from x_min on")
    alpha_p_value: float | None = exponent(
        "p-value", "share of synthetic power laws that fit worse; below 0.1: not a power law"
    )
    alpha_reason: str | None = note("no fit", "why there is no α, where there is none")
    alpha_p_reason: str | None = note("no p-value", "why there is no p-value, where there is none")


def power_law(
    values: np.ndarray, noise_floor: float = 0.0, bootstrap: int = 0, seed: int = 0
) -> PowerLaw:
    """Fit the tail of λ = σ², for descending σ that are all above the noise floor.

    `bootstrap` synthetic sets give the p-value.
    """
    eigenvalues = (values / values[0]) ** 2 if len(values) else values
    enough = len(values) >= FEWEST
    found = flat.REASON if enough and flat.is_flat(values, noise_floor) else fit(eigenvalues)
    if isinstance(found, str):
        return PowerLaw(
            **dict.fromkeys(("alpha", "alpha_xmin", "alpha_ks", "alpha_points", "alpha_p_value")),
            alpha_reason=found,
            alpha_p_reason="no fit",
        )
    return PowerLaw(
        alpha=found.alpha,
        alpha_xmin=squared_units(found.xmin, values[0]),
        alpha_ks=found.ks,
        alpha_points=found.points,
        alpha_p_value=p_value(eigenvalues, found, bootstrap, seed) if bootstrap else None,
        alpha_reason=None,
        alpha_p_reason=None if bootstrap else "not asked for: bootstrap is 0",
    )


def fit(values: np.ndarray) -> Fit | str:
    """Return the best tail of positive values in any order, or why there is none."""
    if len(values) < FEWEST:
        return f"{few(len(values), 'eigenvalue')} above the noise floor, and a fit needs {FEWEST}"
    logs = np.sort(np.log(values / values.max()))
    alphas, distances = fits_by_start(logs)
    if not np.isfinite(distances).any():
        return "all eigenvalues are equal"
    best = int(np.argmin(distances))
    points = len(logs) - best
    xmin = float(np.sort(values)[best])
    return Fit(float(alphas[best]), xmin, float(distances[best]), points)


def few(found: int, noun: str) -> str:
    """Return "no eigenvalue", "only 1 eigenvalue" or "only 2 eigenvalues"."""
    if found == 0:
        return f"no {noun}"
    return f"only {found} {noun}" if found == 1 else f"only {found} {noun}s"


def fits_by_start(logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return α and KS for every start in ascending logarithms but the last.

    Starts within a run of equal values, and tails of equal values, get KS = ∞. O(n²) time, in
    chunks of starts that stay in the processor's cache.
    """
    total = len(logs)
    alphas, distances = np.full(total - 1, np.inf), np.full(total - 1, np.inf)
    step = max(1, CHUNK_ENTRIES // total)
    for first in range(0, total - 1, step):
        starts = np.arange(first, min(first + step, total - 1))
        alphas[starts], distances[starts] = _chunk(logs[first:], starts - first)
    distances[1:][np.diff(logs[:-1]) == 0] = np.inf
    return alphas, distances


def _chunk(logs: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit the tails logs[j:] for each j of `starts`: a (starts x values) table."""
    positions = np.arange(len(logs)) - starts[:, None]  # i, negative before the tail
    points = len(logs) - starts
    above = np.maximum(logs - logs[starts, None], 0.0)  # ln(x/x_min); logs ascend
    total = above.sum(1)
    with np.errstate(divide="ignore"):
        slopes = points / total  # α - 1
    finite = np.where(np.isfinite(slopes), slopes, 0.0)
    deviations = np.abs(-np.expm1(-finite[:, None] * above) - positions / points[:, None])
    deviations[positions < 0] = 0.0
    return 1 + slopes, np.where(np.isfinite(slopes), deviations.max(1), np.inf)


def p_value(values: np.ndarray, found: Fit, repeats: int, seed: int) -> float:
    """Return the share of `repeats` semi-parametric synthetic sets whose best KS is no smaller.

    Each set has as many values as the data, each from the fitted tail with the tail's probability
    and else from the values below x_min, and is fitted anew over every x_min.
    """
    generator = np.random.default_rng(seed)
    below = values[values < found.xmin]
    worse = 0
    for _ in range(repeats):
        in_tail = int(generator.binomial(len(values), found.points / len(values)))
        uniform = generator.random(in_tail)
        tail = found.xmin * (1 - uniform) ** (-1 / (found.alpha - 1))
        body = generator.choice(below, len(values) - in_tail) if below.size else tail[:0]
        again = fit(np.concatenate([tail, body]))
        worse += not isinstance(again, str) and again.ks >= found.ks
    return worse / repeats
