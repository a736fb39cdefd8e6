"""The Marchenko-Pastur law: eigenvalues of WWᵀ when W is noise.

For an n x p matrix, n >= p, of independent entries with variance s²/n, the eigenvalues λ = σ²
follow for large n, with β = p/n and support λ± = s² (1 ± √β)², the density
√((λ₊ - x)(x - λ₋)) / (2πβ s² x).

Marchenko & Pastur (1967), https://doi.org/10.1070/SM1967v001n04ABEH001994
"""

from functools import lru_cache

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq


def edges(beta: float) -> tuple[float, float]:
    """Return λ₋ and λ₊ at s = 1. Raises ValueError unless 0 < β <= 1."""
    if not 0 < beta <= 1:
        raise ValueError(f"expected an aspect ratio in (0, 1], got {beta}")
    return (1 - beta**0.5) ** 2, (1 + beta**0.5) ** 2


def density(x: np.ndarray, beta: float) -> np.ndarray:
    """Return the density at s = 1, zero off the support."""
    low, high = edges(beta)
    inside = (x > low) & (x < high)
    at = np.where(inside, x, 1.0)
    root = np.sqrt(np.maximum((high - at) * (at - low), 0.0))
    found: np.ndarray = np.where(inside, root / (2 * np.pi * beta * at), 0.0)
    return found


@lru_cache(maxsize=4096)
def median(beta: float) -> float:
    """Return μ_β, the median of the law at s = 1, to about 1e-12.

    With x = 1 + β + 2√β cos t the density becomes (2/π) sin²t / x dt, smooth up to β = 1.
    """
    edges(beta)
    centre, half = 1 + beta, 2 * beta**0.5

    def mass_above(t: float) -> float:
        found, _ = quad(
            lambda u: 2 / np.pi * np.sin(u) ** 2 / (centre + half * np.cos(u)), 0, t, epsabs=1e-13
        )
        return float(found)

    root = brentq(lambda t: mass_above(t) - 0.5, 0.1, np.pi - 0.1, xtol=1e-14)
    return float(centre + half * np.cos(root))


def variance_from_median(values: np.ndarray, beta: float) -> float:
    """Return s² = median(λ)/μ_β: the variance of the bulk, which a few spikes cannot move."""
    return float(np.median(values * values) / median(beta))
