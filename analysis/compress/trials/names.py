"""Words that sentences about trials share: names of layers, and what no trial can be."""

from collections.abc import Sequence

FEW = 4
# By these, failures that come back whenever the same is asked for are told from the others.
NOT_REACHED, FITS_NONE = "is not reached", "fits none of the chosen layers"


def few(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - FEW
    return ", ".join(names[:FEW]) + (f" and {more} more" if more > 0 else "")
