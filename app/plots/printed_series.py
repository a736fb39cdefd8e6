"""Curves, bars, histograms, points and bands, in matplotlib."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from app.plots import colours
from app.plots.figure import Figure, Series
from app.plots.printed_style import DASHES, POINTS, Style

WIDTHS = {"layer": 2.2, "fit": 2.2, "front": 3.2}  # pixels of the page
SYMBOLS = ("o", "D", "s")  # of joined points, when colours begin anew
BAR = 0.85  # share of its place that a bar fills


def draw_series(axes: Axes, figure: Figure, style: Style) -> list[Any]:
    """Draw every series; return for each what stands for it in a legend."""
    found = colours.of_series(figure, dark=style.dark)
    width, away = _bars_places([series for series in figure.series if series.kind == "bars"])
    handles = []
    for layer, (given, colour, turn) in enumerate(found):
        series = _drawable(given, figure)
        paint: dict[str, Any] = {"color": colour, "zorder": 2 + 0.01 * layer}
        if series.kind == "bars":
            handles.append(_bars(axes, series, width, away[id(given)], paint))
        elif series.kind in ("points", "joined"):
            handles.append(_points(axes, series, SYMBOLS[turn % len(SYMBOLS)], paint))
        elif series.kind == "band":
            handles.append(_band(axes, series, paint))
        else:
            handles.append(_line(axes, series, paint))
    return handles


def _drawable(series: Series, figure: Figure) -> Series:
    """Return a series without what has no place on a log axis: zeros and negative numbers."""
    x, y = (
        np.where(np.asarray(values) > 0, values, np.nan) if axis.log else np.asarray(values, float)
        for values, axis in ((series.x, figure.x), (series.y, figure.y))
    )
    return replace(series, x=x, y=y)


def _line(axes: Axes, series: Series, paint: dict[str, Any]) -> Any:
    stroke = {
        "linewidth": POINTS * WIDTHS.get(series.role, 1.6),
        "linestyle": DASHES[colours.DASHES.get(series.role, "solid")],
    }
    if series.kind == "steps":
        # An empty bin is a gap: a log axis has no zero.
        heights = np.where(series.y > 0, series.y, np.nan)
        return axes.stairs(heights, series.x, baseline=None, **stroke, **paint)
    return axes.plot(series.x, series.y, **stroke, **paint)[0]


def _points(axes: Axes, series: Series, symbol: str, paint: dict[str, Any]) -> Any:
    _whiskers(axes, series, series.x, paint)
    line = 1.2 * POINTS if series.kind == "joined" else 0.0
    marker = {"marker": symbol, "markersize": 4.5, "markeredgewidth": 0}
    return axes.plot(series.x, series.y, linewidth=line, **marker, **paint)[0]


def _band(axes: Axes, series: Series, paint: dict[str, Any]) -> Any:
    upper = series.y if series.upper is None else series.upper
    return axes.fill_between(series.x, series.y, upper, alpha=0.22, linewidth=0.4, **paint)


def _bars_places(bars: Sequence[Series]) -> tuple[float, dict[int, float]]:
    """Return the width of a bar and how far each series of them stands from its place.

    Series that share a place stand beside each other; others have each place to themselves.
    """
    if not bars:
        return BAR, {}
    every = np.concatenate([series.x for series in bars]).astype(float)
    places = np.unique(every)
    room = BAR * float(np.diff(places).min(initial=1.0) if len(places) > 1 else 1.0)
    if len(places) == len(every):
        return room, {id(series): 0.0 for series in bars}
    width = room / len(bars)
    first = -(len(bars) - 1) / 2
    return width, {id(series): (first + i) * width for i, series in enumerate(bars)}


def _bars(axes: Axes, series: Series, width: float, away: float, paint: dict[str, Any]) -> Any:
    at = np.asarray(series.x, float) + away
    drawn = axes.bar(at, series.y, width, linewidth=0, **paint)
    ink = {"color": axes.xaxis.label.get_color(), "zorder": paint["zorder"] + 0.005}
    _whiskers(axes, series, at, ink)
    return drawn


def _whiskers(axes: Axes, series: Series, at: np.ndarray, paint: dict[str, Any]) -> None:
    """Draw lines from the lower to the upper ends, which need not be around the value."""
    if series.upper is None or series.lower is None:
        return
    there = np.isfinite(series.lower) & np.isfinite(series.upper) & np.isfinite(at)
    x, low, high = (ends[there] for ends in (at, series.lower, series.upper))
    if not len(x):
        return
    axes.vlines(x, low, high, linewidth=0.9, **paint)
    for ends in (low, high):
        axes.plot(x, ends, linestyle="none", marker="_", markersize=4, markeredgewidth=0.9, **paint)
