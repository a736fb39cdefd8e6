"""Counts and densities of eigenvalues, averaged over random starts of Lanczos' method.

For a start that is uniform on the sphere, E Σ τ_i g(θ_i) = tr g(A) / p. With g the indicator of
|λ| > t it counts eigenvalues; with g a Gaussian of the width below it is their smoothed density.
Ubaru, Chen and Saad (2017), https://doi.org/10.1137/16M1104974; the width is that of
Papyan (2018), https://arxiv.org/abs/1811.07062.

Few steps cannot tell near eigenvalues apart: where no node falls within |θ| <= t, all p would
count, with no spread over the starts. So the interval of a count covers both the choice of starts
and how the count moves over the second half of the steps, while starts still have steps to go.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from analysis.numerics.hessian.estimate import estimate
from analysis.numerics.hessian.lanczos import Product, Quadrature, lanczos

KAPPA = 3.0
GRID = 256
HALVES = 9  # numbers of steps, from half of them to all, whose counts are compared


@dataclass(frozen=True)
class Count:
    """How many eigenvalues there are; the ends are None for a single start."""

    mean: float
    se: float | None  # over the starts
    low: float | None  # least lower end of the 95 % intervals over the second half of the steps
    high: float | None  # their greatest upper end


@dataclass(frozen=True, eq=False)
class Density:
    """A smoothed density on a grid (it integrates to 1), with the standard error of each value."""

    grid: np.ndarray
    values: np.ndarray
    errors: np.ndarray


def quadratures(
    product: Product, like: Tensor, size: tuple[int, int, int], generator: torch.Generator,
    tick: Callable[[], None],
) -> list[Quadrature]:  # fmt: skip
    """Return one quadrature a probe; `size` is (p, probes, steps), `like` gives dtype and device.

    `tick` is called after each product.
    """
    parameters, probes, steps = size

    def ticking(v: Tensor) -> Tensor:
        found = product(v)
        tick()
        return found

    def start() -> Tensor:
        return torch.randn(parameters, generator=generator, dtype=torch.float64).to(like)

    return [lanczos(ticking, start(), steps) for _ in range(probes)]


def count_above(found: Sequence[Quadrature], parameters: int, threshold: float) -> Count:
    """Return p (1 - mass of |θ| <= threshold) over the starts, from 0 to p."""
    most = max(len(q.nodes) for q in found)
    several = np.unique(np.linspace((most + 1) // 2, most, HALVES).astype(int))
    shares = np.array(
        [[_shares(q.after(int(steps)), threshold) for q in found] for steps in several]
    )  # (numbers of steps, starts, 2)
    counts = [[estimate(parameters * of_steps[:, i]) for i in (0, 1)] for of_steps in shares]
    last = counts[-1][0]
    if last.se is None:
        return Count(last.mean, None, None, None)
    low = min(least.mean - (least.reach or 0.0) for _, least in counts)
    high = max(own.mean + (own.reach or 0.0) for own, _ in counts)
    return Count(last.mean, last.se, max(low, 0.0), min(high, float(parameters)))


def _shares(q: Quadrature, threshold: float) -> tuple[float, float]:
    """Return the share of |θ| > threshold, and the least that it may stand for.

    Where no node is within the threshold, the two around it may stand for what is.
    """
    outside = np.abs(q.nodes) > threshold
    own = float(q.weights[outside].sum())
    if q.exhausted or not outside.all():
        return own, own
    place = int(np.searchsorted(q.nodes, 0.0))
    return own, own - float(q.weights[max(place - 1, 0) : place + 1].sum())


def smoothed(found: Sequence[Quadrature]) -> Density:
    """Return Σ τ_i N(x; θ_i, s²) over the probes, s = range / ((m - 1) √(8 ln κ)), κ = 3."""
    low = min(float(q.nodes[0]) for q in found)
    high = max(float(q.nodes[-1]) for q in found)
    steps = max(len(q.nodes) for q in found)
    spread = max(high - low, abs(high) * 1e-6, 1e-300)  # one distinct eigenvalue has no range
    width = spread / (max(steps - 1, 1) * np.sqrt(8 * np.log(KAPPA)))
    grid = np.linspace(low - 3 * width, high + 3 * width, GRID)
    curves = np.array([_gaussians(grid, q, width) for q in found])
    count = len(found)
    errors = curves.std(axis=0, ddof=1) / np.sqrt(count) if count > 1 else np.full(GRID, np.nan)
    return Density(grid, curves.mean(axis=0), errors)


def _gaussians(grid: np.ndarray, q: Quadrature, width: float) -> np.ndarray:
    away = (grid[:, None] - q.nodes) / width
    heights = np.exp(-0.5 * away**2) / (width * np.sqrt(2 * np.pi))
    found: np.ndarray = heights @ q.weights
    return found
