"""Quantities in units of σ² whose squares float64 may not hold.

Float64 ends near 1e±308, so λ = σ² leaves it where σ leaves about 1e±154. Measures are therefore
taken of σ/σ₁, and brought back to their units here.
"""

import sys

SMALLEST, LARGEST = sys.float_info.min, sys.float_info.max
REASON = "columns in units of λ = σ² that are null leave the range of float64 (1e-308 to 1e308)"


def squared_units(relative: float, unit: float) -> float | None:
    """Return relative · unit², or None where float64 cannot hold that with all its digits."""
    found = float(relative) * float(unit) * float(unit)
    held = relative == 0 or SMALLEST <= abs(found) <= LARGEST
    return found if held else None
