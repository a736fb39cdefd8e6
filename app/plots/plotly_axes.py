"""Axes and their ticks, as plotly wants them."""

from html import escape
from typing import Any

import numpy as np

from app.plots.figure import Axis

MOST_NUMBERS, MOST_NAMES = 16, 40  # ticks that can be read beside each other


def axis_settings(axis: Axis, most: int = MOST_NAMES) -> dict[str, Any]:
    """Return plotly's settings of an axis: its words, its kind, ticks that can be read.

    `most` is how many names there is room for; of more, every second, third, ... is written.
    """
    settings: dict[str, Any] = {
        "title": {"text": axis.title, "standoff": 10},
        "type": "log" if axis.log else "linear",
        "zeroline": False,
    }
    if axis.ticks:
        shown = axis.ticks[:: -(-len(axis.ticks) // MOST_NUMBERS)]
        settings |= {
            "tickvals": [at for at, _ in shown],
            "ticktext": [escape(words, quote=False) for _, words in shown],
        }
    elif axis.names:
        every = -(-len(axis.names) // (MOST_NUMBERS if _numbered(axis) else most))
        places = list(range(0, len(axis.names), every))
        settings |= {
            "tickvals": places,
            "ticktext": [escape(axis.names[at], quote=False) for at in places],
        }
    if axis.low is not None and axis.high is not None:
        ends = (axis.low, axis.high)
        settings["range"] = list(np.log10(ends)) if axis.log else list(ends)
        if axis.log:
            settings |= _decades(*ends)
    return settings


def _decades(low: float, high: float) -> dict[str, Any]:
    """Return ticks at powers of ten, or at 1, 2 and 5 of each where there are fewer than three.

    Plotly's own ticks of a log axis mix full numbers with lone digits.
    """
    powers = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    within = [10.0**p for p in powers if low <= 10.0**p <= high]
    if len(within) < 3:
        within = [m * 10.0**p for p in powers for m in (1, 2, 5) if low <= m * 10.0**p <= high]
    if len(within) < 3:  # within one decade: evenly spaced round numbers
        within = _round(low, high)
    every = max(1, len(within) // 6)
    return {"tickvals": within[::every], "ticktext": [f"{at:g}" for at in within[::every]]}


def _round(low: float, high: float) -> list[float]:
    """Return the multiples between two numbers of a step of 1, 2 or 5 that gives about five."""
    size = 10.0 ** np.floor(np.log10((high - low) / 5))
    step = next(m * size for m in (1, 2, 5, 10) if m * size >= (high - low) / 5)
    return [float(n * step) for n in range(int(np.ceil(low / step)), int(high // step) + 1)]


def _numbered(axis: Axis) -> bool:
    """Return whether the names only count, so that some may be left out."""
    return all(name.isdigit() for name in axis.names)
