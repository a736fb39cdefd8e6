"""Where the words of straight lines have room, whichever renderer writes them."""

import numpy as np

from app.plots.figure import Figure, Mark

CROWDED = 0.7  # share of the width from where an upright line would cross a level's words


def upright(figure: Figure) -> list[Mark]:
    """Return the upright lines from left to right."""
    return sorted((mark for mark in figure.marks if mark.axis == "x"), key=lambda mark: mark.at)


def middle(figure: Figure) -> float:
    """Return the x beyond which words stand to the left of their line."""
    low, high = _ends(figure)
    return float(np.sqrt(low * high)) if figure.x.log and low > 0 else (low + high) / 2


def free_end(figure: Figure) -> float | None:
    """Return the first upright line that the words of a level would run into at the right."""
    low, high = _ends(figure)
    if high <= low:
        return None
    crossed = [mark.at for mark in upright(figure) if (mark.at - low) / (high - low) > CROWDED]
    return min(crossed, default=None)


def _ends(figure: Figure) -> tuple[float, float]:
    """Return the smallest and the largest x of the curves."""
    shown = [series.x for series in figure.series if len(series.x)]
    if not shown:
        return 0.0, 0.0
    return min(float(x.min()) for x in shown), max(float(x.max()) for x in shown)
