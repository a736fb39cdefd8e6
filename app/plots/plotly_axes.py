"""Axes and their ticks, as plotly wants them."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from app.plots import ticks
from app.plots.figure import Axis


def axis_settings(axis: Axis, most: int = ticks.MOST_NAMES) -> dict[str, Any]:
    """Return plotly's settings of an axis: its words, its kind, ticks that can be read.

    `most` is how many names there is room for.
    """
    settings: dict[str, Any] = {
        "title": {"text": axis.title, "standoff": 10},
        "type": "log" if axis.log else "linear",
        "zeroline": False,
    }
    found = ticks.named(axis, most)
    if axis.low is not None and axis.high is not None:
        ends = (axis.low, axis.high)
        settings["range"] = list(np.log10(ends)) if axis.log else list(ends)
        # Plotly's own ticks of a log axis mix full numbers with lone digits.
        found = ticks.decades(*ends) if axis.log else found
    return settings | (written(found) if found is not None else {})


def written(found: Sequence[ticks.Tick]) -> dict[str, Any]:
    """Return plotly's settings of places with words, which are no markup."""
    return {
        "tickvals": [at for at, _ in found],
        "ticktext": [escape(words, quote=False) for _, words in found],
    }
