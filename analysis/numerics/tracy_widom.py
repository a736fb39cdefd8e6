"""The Tracy-Widom edge: how far the largest eigenvalue of pure noise reaches.

The bare Marchenko-Pastur edge is exceeded by one noise matrix in five at 512 x 256. With
a = √(n-1) + √p the largest λ of an n x p Gaussian matrix of variance 1/n is about a²/n plus
a (1/√(n-1) + 1/√p)^⅓ / n times a variable of the Tracy-Widom law of order 1.

Johnstone (2001), https://doi.org/10.1214/aos/1009210544
"""

import math

QUANTILE_95 = 0.979  # of the Tracy-Widom law of order 1


def edge(rows: int, cols: int) -> float:
    """Return the λ that noise of variance 1/max(rows, cols) exceeds with probability of about 5 %.

    Multiply by the variance of the bulk; one that is estimated adds its own error (see `bulk`).
    Raises ValueError for fewer than 2 rows and columns.
    """
    n, p = max(rows, cols), min(rows, cols)
    if n < 2 or p < 1:
        raise ValueError(f"expected a matrix with at least 2 entries, got {rows} x {cols}")
    a = math.sqrt(n - 1) + math.sqrt(p)
    scale = a * math.cbrt(1 / math.sqrt(n - 1) + 1 / math.sqrt(p)) / n
    return a * a / n + QUANTILE_95 * scale
