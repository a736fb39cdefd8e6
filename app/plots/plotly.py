"""Draw a `Figure` with plotly, for a light page or a dark one."""

from collections.abc import Collection
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from app.plots import colours
from app.plots.figure import Figure, Series
from app.plots.plotly_axes import axis_settings
from app.plots.plotly_map import draw_map
from app.plots.plotly_marks import draw_marks

WIDTHS = {"layer": 2.2, "fit": 2.2, "front": 3.2}
SYMBOLS = ("circle", "diamond", "square")  # of joined points, when colours begin anew
LEGEND = {  # above the plot, where neither a curve nor a line strikes it through
    "orientation": "h",
    "x": 0.0,
    "y": 1.02,
    "xanchor": "left",
    "yanchor": "bottom",
    "title": None,
    "bgcolor": "rgba(0,0,0,0)",
    "font": {"size": 12},
}


def render_plotly(
    figure: Figure, *, dark: bool = False, selected: Collection[str] = (), height: int = 380
) -> go.Figure:
    """Return the plotly figure; `selected` are the layers whose cells are outlined."""
    if figure.cells is not None:
        drawn = draw_map(figure, figure.cells, dark=dark, selected=selected)
    else:
        drawn = _curves(figure, dark=dark, height=height)
    # Streamlit's own grey of a light page's axes has a contrast of 3.7 to 1.
    soft = colours.SOFT_DARK if dark else colours.SOFT
    words = {"tickfont": {"color": soft}, "title": {"font": {"color": soft}}}
    drawn.update_xaxes(words).update_yaxes(words)
    drawn.update_traces({"colorbar": words}, {"type": "heatmap"})
    return drawn


def _curves(figure: Figure, *, dark: bool, height: int) -> go.Figure:
    drawn = go.Figure([_trace(*found) for found in colours.of_series(figure, dark=dark)])
    drawn.update_layout(
        height=height,
        margin={"l": 70, "r": 10, "t": 34 if len(figure.series) > 1 else 12, "b": 48},
        hovermode="closest",
        bargap=0.15,
        showlegend=len(figure.series) > 1,
        legend=LEGEND,
        xaxis=axis_settings(figure.x),
        yaxis=axis_settings(figure.y),
    )
    draw_marks(drawn, figure, dark=dark)
    return drawn


def _trace(series: Series, colour: str, turn: int) -> Any:
    if series.kind == "bars":
        return go.Bar(
            name=escape(series.name),
            x=series.x,
            y=series.y,
            marker={"color": colour},
            error_y=_whiskers(series),
            **(_hovered(series) if series.hover else {}),
        )
    if series.kind in ("points", "joined"):
        return _points(series, colour, SYMBOLS[turn % len(SYMBOLS)])
    if series.kind == "band":
        return _band(series, colour)
    x, y = (series.x, series.y) if series.kind == "line" else _staircase(series)
    dash = colours.DASHES.get(series.role, "solid")
    return go.Scatter(
        name=escape(series.name),
        x=x,
        y=y,
        mode="lines",
        line={"color": colour, "width": WIDTHS.get(series.role, 1.6), "dash": dash},
        # A front runs through points that are clicked: it must not take the pointer from them.
        **({"hoverinfo": "skip"} if series.role == "front" else _told(series)),
    )


def _told(series: Series) -> dict[str, str]:
    return {"hovertemplate": f"%{{y:.4~g}} at %{{x:.4~g}}<extra>{escape(series.name)}</extra>"}


def _points(series: Series, colour: str, symbol: str) -> go.Scatter:
    """Return points, joined by a line where they are of one kind; a click tells their names."""
    return go.Scatter(
        name=escape(series.name),
        x=series.x,
        y=series.y,
        mode="lines+markers" if series.kind == "joined" else "markers",
        line={"color": colour, "width": 1.2},
        marker={"color": colour, "size": 9 if series.names else 7, "symbol": symbol},
        error_y=_whiskers(series),
        customdata=[[name] for name in series.names] or None,
        # A click opens something; it does not make the other points pale.
        unselected={"marker": {"opacity": 1}} if series.names else None,
        **(_hovered(series) if series.hover else _told(series)),
    )


def _hovered(series: Series) -> dict[str, Any]:
    return {"hovertext": series.hover, "hovertemplate": "%{hovertext}<extra></extra>"}


def _whiskers(series: Series) -> dict[str, Any] | None:
    """Return plotly's error bars, which are lengths, from a series' ends, which are places."""
    if series.upper is None or series.lower is None:
        return None
    return {
        "type": "data",
        "symmetric": False,
        "array": series.upper - series.y,
        "arrayminus": series.y - series.lower,
        "thickness": 1.2,
        "width": 3,
    }


def _band(series: Series, colour: str) -> go.Scatter:
    """Return one closed outline: up along the lower edge and back along the upper one."""
    upper = series.y if series.upper is None else series.upper
    return go.Scatter(
        name=escape(series.name),
        x=np.concatenate([series.x, series.x[::-1]]),
        y=np.concatenate([series.y, upper[::-1]]),
        mode="lines",
        fill="toself",
        fillcolor=colours.translucent(colour, 0.22),
        line={"width": 0.6, "color": colours.translucent(colour, 0.5)},
        hoverinfo="skip",
    )


def _staircase(series: Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the outline of a histogram; an empty bin is a gap: a log axis has no zero."""
    heights = np.where(series.y > 0, series.y, np.nan)
    return np.repeat(series.x, 2)[1:-1], np.repeat(heights, 2)
