"""A figure with few enough numbers to be sent: curves of at most 256 points, maps of 128 x 128."""

from dataclasses import replace

import numpy as np

from app.plots.figure import MOST_POINTS, Axis, Cells, Figure, Series, thin

MOST_CELLS = 128  # on a side


def reduced(figure: Figure) -> Figure:
    """Return the figure, shortened where it is long; the caption then says of what it is a part."""
    if figure.cells is None:
        return replace(figure, series=tuple(_thinned(series) for series in figure.series))
    rows, columns = figure.cells.colour.shape
    if max(rows, columns) <= MOST_CELLS:
        return figure
    said = f"{figure.caption} Of {rows} × {columns} cells {MOST_CELLS} on a side are drawn."
    kept = (_evenly(rows), _evenly(columns))
    return replace(
        figure,
        caption=said,
        x=_axis(figure.x, kept[1]),
        y=_axis(figure.y, kept[0]),
        cells=_cells(figure.cells, kept),
    )


def _evenly(length: int) -> np.ndarray:
    if length <= MOST_CELLS:
        return np.arange(length)
    return np.linspace(0, length - 1, MOST_CELLS).round().astype(int)


def _axis(axis: Axis, kept: np.ndarray) -> Axis:
    place = {int(at): position for position, at in enumerate(kept)}
    ticks = tuple((place[int(at)], words) for at, words in axis.ticks if int(at) in place)
    names = tuple(axis.names[at] for at in kept) if axis.names else ()
    return replace(axis, names=names, ticks=ticks)


def _cells(cells: Cells, kept: tuple[np.ndarray, np.ndarray]) -> Cells:
    at = np.ix_(*kept)
    return Cells(cells.colour[at], cells.text[at], cells.names[at], cells.hover[at], cells.scale)


def _thinned(series: Series) -> Series:
    """Return at most 256 points of a curve; bars and single points are all there, or none is."""
    if series.kind not in ("line", "band", "joined") or len(series.x) <= MOST_POINTS:
        return series
    kept = thin(len(series.x))
    upper, lower = (None if ends is None else ends[kept] for ends in (series.upper, series.lower))
    return replace(
        series,
        x=series.x[kept],
        y=series.y[kept],
        upper=upper,
        lower=lower,
        hover=tuple(series.hover[at] for at in kept) if series.hover else (),
        names=tuple(series.names[at] for at in kept) if series.names else (),
    )
