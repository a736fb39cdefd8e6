"""The optimal hard threshold of Gavish and Donoho: which σ to keep when W is signal plus noise.

β = p/n <= 1 for an n x p matrix with n >= p. Keeping σ > τ has the least asymptotic mean squared
error among all hard thresholds:

    noise of standard deviation s per entry:  τ = λ*(β) √n s,
                                              λ* = √(2(β+1) + 8β / ((β+1) + √(β²+14β+1)))
    noise unknown:                            τ = ω(β) median(σ),  ω = λ*/√μ_β

with μ_β the Marchenko-Pastur median.

Gavish & Donoho (2014), https://arxiv.org/abs/1305.5870
"""

import numpy as np

from analysis.numerics.marchenko_pastur import median


def coefficient(beta: float) -> float:
    """Return λ*(β), 4/√3 for a square matrix."""
    b = beta + 1
    return float(np.sqrt(2 * b + 8 * beta / (b + np.sqrt(beta * beta + 14 * beta + 1))))


def threshold_known(shape: tuple[int, int], noise: float) -> float:
    """Return τ where every entry carries noise of standard deviation `noise`."""
    n, p = max(shape), min(shape)
    return coefficient(p / n) * float(np.sqrt(n)) * noise


def threshold_unknown(values: np.ndarray, shape: tuple[int, int]) -> float:
    """Return τ from the median of all min(m, n) singular values."""
    beta = min(shape) / max(shape)
    return coefficient(beta) / float(np.sqrt(median(beta))) * float(np.median(values))
