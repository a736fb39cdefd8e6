"""Straight lines across a plot, with words that do not cover each other."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from app.plots import colours, placing
from app.plots.figure import Figure, Mark


def draw_marks(drawn: go.Figure, figure: Figure, *, dark: bool) -> None:
    """Draw the straight lines; the words of upright ones step down so that none covers another."""
    middle = placing.middle(figure)
    for step, mark in enumerate(placing.upright(figure)):
        _line(drawn, mark, dark=dark)
        down = 0.068 * step
        y = 1.0 - down if figure.words == "top" else 0.08 + down
        _upright_words(drawn, mark, figure, dark=dark, y=y, left=mark.at > middle)
    for mark in (m for m in figure.marks if m.axis == "y"):
        _line(drawn, mark, dark=dark)
        _level_words(drawn, mark, figure, placing.free_end(figure), dark=dark)


def _line(drawn: go.Figure, mark: Mark, *, dark: bool) -> None:
    line = {
        "color": colours.colour(mark.role, dark=dark),
        "width": 1.5,
        "dash": colours.DASHES.get(mark.role, "dot"),
    }
    add = drawn.add_vline if mark.axis == "x" else drawn.add_hline
    add(mark.at, line=line)


def _upright_words(
    drawn: go.Figure, mark: Mark, figure: Figure, *, dark: bool, y: float, left: bool
) -> None:
    side = {"xanchor": "right" if left else "left", "xshift": -4 if left else 4}
    place = {"x": _placed(mark.at, log=figure.x.log), "y": y, "yref": "paper"}
    drawn.add_annotation(**place, **side, **_style(mark, dark=dark))


def _level_words(
    drawn: go.Figure, mark: Mark, figure: Figure, end: float | None, *, dark: bool
) -> None:
    """Write above a level line, ending at `end` or at the right of the plot."""
    x = {"x": 1.0, "xref": "paper"} if end is None else {"x": _placed(end, log=figure.x.log)}
    side = {"xanchor": "right", "yanchor": "bottom", "xshift": -4}
    drawn.add_annotation(
        **x, y=_placed(mark.at, log=figure.y.log), **side, **_style(mark, dark=dark)
    )


def _style(mark: Mark, *, dark: bool) -> dict[str, Any]:
    font = {"color": colours.colour(mark.role, dark=dark), "size": 12}
    behind = "rgba(23,22,20,0.75)" if dark else "rgba(255,255,255,0.75)"  # no curve strikes it
    return {"text": mark.text, "showarrow": False, "font": font, "bgcolor": behind, "borderpad": 0}


def _placed(at: float, *, log: bool) -> float:
    return float(np.log10(at)) if log else at
