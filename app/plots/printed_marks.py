"""Straight lines across a plot, with words that do not cover each other, in matplotlib."""

from typing import Any

from matplotlib.axes import Axes

from app.plots import colours, placing
from app.plots.figure import Figure, Mark
from app.plots.printed_style import DASHES, POINTS, WRITTEN, Style
from app.plots.printed_words import literal

LINE = 1.35 * WRITTEN  # points from the words of one upright line to those of the next
ASIDE = 3  # points between a line and its words


def draw_lines(axes: Axes, figure: Figure, style: Style) -> None:
    """Draw the lines; where the data ends before one, the axis goes on to it."""
    for mark in figure.marks:
        if mark.at <= 0 and (figure.x if mark.axis == "x" else figure.y).log:
            continue  # a log axis has no place for it
        stroke = {
            "color": colours.colour(mark.role, dark=style.dark),
            "linewidth": 1.5 * POINTS,
            "linestyle": DASHES[colours.DASHES.get(mark.role, "dot")],
            "zorder": 3,
        }
        (axes.axvline if mark.axis == "x" else axes.axhline)(mark.at, **stroke)


def write_words(axes: Axes, figure: Figure, style: Style) -> None:
    """Write what the lines are, those of upright ones a step down each."""
    middle, top = placing.middle(figure), figure.words == "top"
    shown = [mark for mark in placing.upright(figure) if _within(mark.at, axes.get_xlim())]
    for step, mark in enumerate(shown):
        left = mark.at > middle
        axes.annotate(
            literal(mark.text),
            (mark.at, 1.0 if top else 0.0),
            xycoords=axes.get_xaxis_transform(),
            xytext=(-ASIDE if left else ASIDE, -LINE * step if top else LINE * (step + 0.4)),
            ha="right" if left else "left",
            va="top" if top else "bottom",
            **_ink(mark, style),
        )
    end = placing.free_end(figure)
    for mark in figure.marks:
        if mark.axis == "y" and _within(mark.at, axes.get_ylim()):
            axes.annotate(
                literal(mark.text),
                (1.0 if end is None else end, mark.at),
                xycoords=axes.get_yaxis_transform() if end is None else "data",
                xytext=(-ASIDE, 2),
                ha="right",
                va="bottom",
                **_ink(mark, style),
            )


def _ink(mark: Mark, style: Style) -> dict[str, Any]:
    behind = {"facecolor": style.page, "alpha": 0.75, "edgecolor": "none", "pad": 0.5}
    return {
        "textcoords": "offset points",
        "color": colours.colour(mark.role, dark=style.dark),
        "size": WRITTEN,
        "bbox": behind,  # no curve strikes the words through
        "zorder": 4,
    }


def _within(at: float, ends: tuple[float, float]) -> bool:
    return min(ends) <= at <= max(ends)
