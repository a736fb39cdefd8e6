"""A map of cells that can be clicked, in plotly."""

from collections.abc import Collection
from typing import Any

import numpy as np
import plotly.graph_objects as go

from app.plots import colours, ticks
from app.plots.figure import Axis, Cells, Figure
from app.plots.plotly_axes import axis_settings, written

MOST_WRITTEN_COLUMNS = 14
FEWEST_COLUMNS = 6  # a strip of one layer is a cell, not a bar
ROW_HEIGHT, TALL = 40, 480  # pixels of a row, and of a grid before its rows get lower
# A dense map opens nothing: its cells may be small, and its names are in small print.
DENSE_TALL, DENSE_WIDE = 704, 560  # pixels of its rows and, on a laptop, of its columns
SMALL_PRINT, SMALL_PITCH = 9, 11  # pixels of the letters, and of the room they need
NOTHING = "rgba(128,128,128,0.16)"


def draw_map(figure: Figure, cells: Cells, *, dark: bool, selected: Collection[str]) -> go.Figure:
    """Return the cells as plotly figure; those of the selected layers are outlined."""
    rows, columns = (max(size, 1) for size in cells.colour.shape)  # a map of nothing has a height
    dense = not (cells.names != "").any()
    heat = _heat(cells, dark=dark)
    traces = [_told(heat, cells)] if dense else [_blank(cells), heat, _targets(cells, dark=dark)]
    drawn = go.Figure(traces)
    height = _row_height(rows, dense=dense)
    # A drag would move the cells from under the pointer: Streamlit sets its own `dragmode`.
    bare = {"showgrid": False, "ticks": "", "automargin": True, "fixedrange": True}
    drawn.update_layout(
        height=(64 if figure.x.title else 44) + height * rows,
        margin={"l": 8, "r": 8, "t": 8, "b": 56 if figure.x.title else 36},
        hovermode="closest",
        hoverdistance=40,
        dragmode=False,
        plot_bgcolor="rgba(0,0,0,0)",
        xaxis=(_small_names(figure.x, DENSE_WIDE) if dense else axis_settings(figure.x))
        | bare
        | {"range": [-0.5, max(columns, FEWEST_COLUMNS if rows == 1 else 2) - 0.5]},
        yaxis=(
            _small_names(figure.y, height * rows) if dense else axis_settings(figure.y, most=rows)
        )
        | bare
        | {"range": [rows - 0.5, -0.5]},
        shapes=[
            outline
            for at in np.argwhere(np.isin(cells.names, list(selected)))
            for outline in _outlines(at)
        ],
    )
    return drawn


def _row_height(rows: int, *, dense: bool) -> int:
    """Return the pixels of a row: lower in tall grids, lower yet in dense maps."""
    return min(ROW_HEIGHT, max(DENSE_TALL if dense else 22 * rows, TALL) // rows)


def _small_names(axis: Axis, pixels: int) -> dict[str, Any]:
    """Return an axis with as many names as there is room for, and the last, which may differ."""
    most, last = max(1, pixels // SMALL_PITCH), len(axis.names) - 1
    found = ticks.with_last(axis, most)
    return (
        axis_settings(axis, most)
        | (written(found) if found else {})
        | ({"tickfont": {"size": SMALL_PRINT}} if last * 2 * SMALL_PITCH > pixels else {})
    )


def _told(heat: go.Heatmap, cells: Cells) -> go.Heatmap:
    """Let a map that opens nothing say its own numbers: thousands of squares would be slow."""
    return heat.update(
        hoverinfo=None,
        hovertext=cells.hover,
        hovertemplate="%{hovertext}<extra></extra>",
        ygap=_gap(cells),
    )


def _blank(cells: Cells) -> go.Heatmap:
    """Return grey for the layers that have no value, so that none disappears."""
    there = np.where((cells.names != "") & np.isnan(cells.colour), 1.0, np.nan)
    return go.Heatmap(
        z=there,
        colorscale=[[0, NOTHING], [1, NOTHING]],
        showscale=False,
        hoverinfo="skip",
        xgap=_gap(cells),
        ygap=2,
    )


def _heat(cells: Cells, *, dark: bool) -> go.Heatmap:
    scale = cells.scale
    return go.Heatmap(
        z=cells.colour,
        zmin=scale.low,
        zmax=scale.high,
        colorscale=[list(step) for step in colours.steps(scale.kind, dark=dark)],
        hoverinfo="skip",
        xgap=_gap(cells),
        ygap=2,
        showscale=cells.colour.shape[0] > 1,
        colorbar={
            "tickvals": [at for at, _ in scale.ticks],
            "ticktext": [text for _, text in scale.ticks],
            "thickness": 10,
            "outlinewidth": 0,
            "ticklabelposition": "outside",
        },
    )


def _targets(cells: Cells, *, dark: bool) -> go.Scatter:
    """Return the squares that take the pointer: a heatmap reports no click to the page.

    They also carry the numbers, dark on pale cells and pale on dark ones.
    """
    at = [tuple(place) for place in np.argwhere(cells.names != "")]
    few = cells.colour.shape[1] <= MOST_WRITTEN_COLUMNS
    return go.Scatter(
        x=[column for _, column in at],
        y=[row for row, _ in at],
        mode="markers+text",
        text=[cells.text[place] if few else "" for place in at],
        textfont={
            "size": 12,
            "color": [colours.ink(cells.scale, cells.colour[place], dark=dark) for place in at],
        },
        marker={"symbol": "square", "size": 26, "color": "rgba(0,0,0,0)"},
        customdata=[[cells.names[place]] for place in at],
        hovertext=[cells.hover[place] for place in at],
        hovertemplate="%{hovertext}<extra></extra>",
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}},
        showlegend=False,
    )


def _outlines(at: np.ndarray) -> list[dict[str, Any]]:
    """Return a pale frame inside a dark one: one of them can be seen on any cell and any page."""
    row, column = (float(i) for i in at)
    frame = {
        "type": "rect",
        "x0": column - 0.48,
        "x1": column + 0.48,
        "y0": row - 0.47,
        "y1": row + 0.47,
    }
    lines = ((colours.DARK_INK, 6), (colours.PALE_INK, 2))
    return [frame | {"line": {"color": colour, "width": width}} for colour, width in lines]


def _gap(cells: Cells) -> int:
    columns = cells.colour.shape[1]
    return 2 if columns <= MOST_WRITTEN_COLUMNS else 1 if columns <= 66 else 0
