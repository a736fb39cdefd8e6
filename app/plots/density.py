"""The eigenvalues of W^T W: their density and the tail beyond each, with the two laws held to them.

The power law p(x) = (a - 1)/x_min (x/x_min)^-a is Clauset, Shalizi and Newman's
(https://arxiv.org/abs/0706.1062); noise follows Marchenko and Pastur.
"""

from dataclasses import dataclass

import numpy as np

from app.plots.figure import Axis, Figure, Mark, Series, thin

BINS_AT_MOST = 48
NOISE_POINTS = 200
EIGENVALUE = "eigenvalue λ = σ²"


@dataclass(frozen=True)
class PowerLaw:
    """A fitted tail: exponent, where it begins, how many eigenvalues it covers."""

    alpha: float
    x_min: float
    points: int


@dataclass(frozen=True)
class Bulk:
    """The Marchenko-Pastur law of a matrix: its edge (1 + sqrt(b))^2 s^2 and its aspect b <= 1."""

    edge: float
    aspect: float


def eigenvalue_density(
    singular: np.ndarray, law: PowerLaw | None, bulk: Bulk | None, *, name: str
) -> Figure:
    """Return the density of the eigenvalues on log axes: log-spaced bins, counts over widths."""
    eigen = _eigenvalues(singular)
    edges = _bins(eigen)
    counts, _ = np.histogram(eigen, edges)
    heights = counts / (max(eigen.size, 1) * np.diff(edges))
    series = [Series("this layer", edges, heights, "layer", "steps")]
    if law:
        x = np.geomspace(law.x_min, max(eigen[0], law.x_min), 32)
        share = law.points / eigen.size
        y = share * (law.alpha - 1) / law.x_min * (x / law.x_min) ** -law.alpha
        series.append(Series(_law_name(law), x, y, "fit"))
    if bulk:
        series.append(Series("Marchenko-Pastur", *noise_density(bulk, eigen[-1]), "noise"))
    return Figure(
        title=f"Spectral density · {name}",
        caption="A straight tail on these axes is a power law; dotted is what noise shows.",
        x=_axis(eigen, EIGENVALUE, decades=5),
        y=_axis(np.concatenate([s.y for s in series]), "density", slack=2.0, decades=7),
        series=tuple(series),
        marks=_start(law),
        words="bottom",
    )


def tail_function(
    singular: np.ndarray, law: PowerLaw | None, bulk: Bulk | None, *, name: str
) -> Figure:
    """Return the share of eigenvalues at or above x (complementary CDF), on log axes."""
    eigen = _eigenvalues(singular)
    keep = thin(eigen.size)
    series = [Series("this layer", eigen[keep], (keep + 1) / max(eigen.size, 1), "layer")]
    if law:
        x = np.geomspace(law.x_min, max(eigen[0], law.x_min), 32)
        y = law.points / eigen.size * (x / law.x_min) ** (1 - law.alpha)
        series.append(Series(_law_name(law), x, y, "fit"))
    if bulk:
        x, density = noise_density(bulk, eigen[-1])
        beyond = np.cumsum((np.diff(x) * (density[1:] + density[:-1]) / 2)[::-1])[::-1]
        series.append(Series("Marchenko-Pastur", x[:-1], np.minimum(beyond, 1.0), "noise"))
    return Figure(
        title=f"Tail function · {name}",
        caption="The share of eigenvalues at least this large: no bins, so judge the fit here.",
        x=_axis(eigen, EIGENVALUE, decades=5),
        y=Axis("share of eigenvalues ≥ λ", log=True, low=0.5 / max(eigen.size, 1), high=1.6),
        series=tuple(series),
        marks=_start(law),
        words="bottom",
    )


def noise_density(bulk: Bulk, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Return x and sqrt((x+ - x)(x - x-)) / (2 pi b s^2 x), the Marchenko-Pastur density.

    x+- = s^2 (1 +- sqrt(b))^2; for a square matrix x- = 0, so it is drawn from `least` on.
    """
    root = np.sqrt(bulk.aspect)
    variance = bulk.edge / (1 + root) ** 2
    low = max(variance * (1 - root) ** 2, min(least, bulk.edge / 10))
    # Dense at both ends, where the density bends most.
    turn = (1 - np.cos(np.linspace(0, np.pi, NOISE_POINTS))) / 2
    x = np.exp(np.log(low) + turn * (np.log(bulk.edge) - np.log(low)))
    under = (bulk.edge - x) * (x - variance * (1 - root) ** 2)
    return x, np.sqrt(np.maximum(under, 0)) / (2 * np.pi * bulk.aspect * variance * x)


def _eigenvalues(singular: np.ndarray) -> np.ndarray:
    """Return sigma^2, descending, without what is zero to rounding."""
    eigen = np.sort(np.asarray(singular, float) ** 2)[::-1]
    return eigen[eigen > 1e-24 * max(float(eigen.max(initial=0.0)), 1e-300)]


def _bins(eigen: np.ndarray) -> np.ndarray:
    """Return log-spaced edges: about the square root of the count, between 8 and 48 bins."""
    if not eigen.size:
        return np.array([1.0, 10.0])
    low, high = float(eigen[-1]), float(eigen[0])
    if high <= low * (1 + 1e-9):
        low, high = low / 1.1, high * 1.1
    wanted = int(np.clip(2 * np.sqrt(eigen.size), 8, BINS_AT_MOST))
    edges = np.geomspace(low, high, wanted + 1)
    edges[0], edges[-1] = low, high  # rounding must not leave the ends outside
    return edges


def _law_name(law: PowerLaw) -> str:
    return f"power law, \N{GREEK SMALL LETTER ALPHA} = {law.alpha:.2f}"


def _start(law: PowerLaw | None) -> tuple[Mark, ...]:
    return (Mark("x", law.x_min, "x_min", "fit"),) if law else ()


def _axis(values: np.ndarray, title: str, *, slack: float = 1.4, decades: float = 12) -> Axis:
    shown = values[np.isfinite(values) & (values > 0)]
    if not shown.size:
        return Axis(title, log=True)
    high = float(shown.max() * slack)
    low = max(float(shown.min() / slack), high / 10**decades)
    return Axis(title, log=True, low=low, high=high)
