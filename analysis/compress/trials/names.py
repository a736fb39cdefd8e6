"""Names of layers in a sentence."""

from collections.abc import Sequence

FEW = 4


def few(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - FEW
    return ", ".join(names[:FEW]) + (f" and {more} more" if more > 0 else "")
