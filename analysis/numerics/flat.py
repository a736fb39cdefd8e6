"""Flat spectra: singular values that differ by no more than rounding.

Of an orthogonal matrix, the identity or a partial isometry no direction is larger than another. A
tail fitted to such values, or a threshold between them, would be one of the rounding noise.
"""

import numpy as np

FLAT = 1e-5
REASON = "all singular values are equal up to rounding"


def is_flat(values: np.ndarray, noise_floor: float = 0.0) -> bool:
    """Say whether descending σ spread by at most the noise floor, or by 1e-5 σ_max.

    The latter is what arithmetic in float32 leaves of an orthogonal matrix.
    """
    return bool(values[0] - values[-1] <= max(noise_floor, FLAT * values[0]))
