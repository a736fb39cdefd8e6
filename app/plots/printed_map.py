"""A map of cells with its scale, in matplotlib."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, ListedColormap, Normalize
from matplotlib.figure import Figure as Drawing

from app.plots import colours, ticks
from app.plots.figure import Cells, Figure, Scale
from app.plots.printed_axes import PITCH, dress, name, turn
from app.plots.printed_style import SMALL, SMALLEST, WRITTEN, Style
from app.plots.printed_words import literal, widths

SHADES = 1024  # neighbours differ by less than one step of 8 bits
BLANK = (0.5, 0.5, 0.5, 0.16)
MOST_VECTORS = 2500  # cells; more are drawn as one picture within the file
FEWEST_COLUMNS = 6  # a strip of one layer is a cell, not a bar
ROW, LOW_ROW, TALL = 0.27, 0.13, 7.0  # inches of a row, and of rows before they get lower
DENSE, LARGEST = 0.09, 6.4  # inches of a row of a map that opens nothing, and of all of them
AROUND = 0.65  # inches above and below the rows
WIDE = 0.74  # share of the drawing's width that is its cells', about


def inches(cells: Cells) -> float:
    """Return how high a map needs to be: its rows get lower where there are many."""
    rows = max(len(cells.colour), 1)
    if _dense(cells):
        return AROUND + min(max(rows * DENSE, 2 * ROW), LARGEST)
    return AROUND + rows * max(LOW_ROW, min(ROW, TALL / rows))


def draw_map(drawn: Drawing, figure: Figure, cells: Cells, style: Style) -> None:
    """Draw the cells, their numbers where these have room, and the scale."""
    axes = drawn.add_subplot()
    dress(axes, figure, style)
    rows, columns = (max(size, 1) for size in cells.colour.shape)
    across = max(columns, FEWEST_COLUMNS if rows == 1 else 2)
    width, height = WIDE * drawn.get_figwidth(), max(drawn.get_figheight() - AROUND, 0.1)
    _cells(axes, cells, style)
    axes.set_xlim(-0.5, across - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    _names(axes, figure, 72 * width, 72 * height, dense=_dense(cells))
    _numbers(axes, cells, (72 * width / across, 72 * height / rows), style)
    if rows > 1:
        _scale(drawn, axes, cells.scale, style)


def _dense(cells: Cells) -> bool:
    """Return whether the cells open nothing, so that they may be small."""
    return not (cells.names != "").any()


def colour_map(scale: Scale, *, dark: bool) -> Colormap:
    """Return the colours of a kind of quantity, the page's own steps joined."""
    steps = colours.steps(scale.kind, dark=dark)
    return LinearSegmentedColormap.from_list(scale.kind, list(steps), N=SHADES)


def _cells(axes: Axes, cells: Cells, style: Style) -> None:
    if not cells.colour.size:
        return
    rows, columns = cells.colour.shape
    edges = np.arange(columns + 1) - 0.5, np.arange(rows + 1) - 0.5
    many = cells.colour.size > MOST_VECTORS
    gaps = {"edgecolors": "none" if many else style.page, "linewidth": 0 if many else 1.0}
    if rows * columns > 400 and not many:
        gaps["linewidth"] = 0.3
    there = (cells.names != "") & np.isnan(cells.colour)
    if there.any():  # grey, so that no layer disappears
        blank = np.ma.masked_where(~there, np.zeros_like(cells.colour))
        axes.pcolormesh(*edges, blank, cmap=ListedColormap([BLANK]), zorder=1, **gaps)
    norm = Normalize(cells.scale.low, cells.scale.high)
    shown = np.ma.masked_invalid(cells.colour)
    paint = colour_map(cells.scale, dark=style.dark)
    axes.pcolormesh(*edges, shown, cmap=paint, norm=norm, rasterized=many, zorder=2, **gaps)


def _names(axes: Axes, figure: Figure, width: float, height: float, *, dense: bool) -> None:
    """Write as many names as `width` by `height` points have room for."""
    if dense:
        across = ticks.with_last(figure.x, max(1, int(width / (PITCH * SMALLEST))))
        down = ticks.with_last(figure.y, max(1, int(height / (PITCH * SMALLEST))))
        name(axes.xaxis, across or [], rotation=90, size=SMALLEST)
        name(axes.yaxis, down or [], size=SMALLEST)
        return
    across = ticks.named(figure.x)
    down = ticks.named(figure.y, max(1, int(height / (PITCH * SMALLEST))))
    name(axes.yaxis, down or [], size=_fitting(height / max(len(down or []), 1)) or SMALLEST)
    name(axes.xaxis, across or [])
    if across:
        turn(axes, across)


def _fitting(room: float) -> float | None:
    """Return the largest letters whose lines have room, in points."""
    return next((size for size in (WRITTEN, SMALL, SMALLEST) if PITCH * size <= room), None)


def _numbers(axes: Axes, cells: Cells, room: tuple[float, float], style: Style) -> None:
    """Write the numbers if all of them have room, dark on pale cells and pale on dark ones."""
    size, at = _fitting(min(room)), np.argwhere(cells.names != "")
    if size is None or not len(at):
        return
    words = [literal(str(cells.text[tuple(place)])) for place in at]
    widest = max(widths(axes, words, WRITTEN)) / WRITTEN
    fits = [s for s in (WRITTEN, SMALL, SMALLEST) if s <= size and widest * s + 2 <= room[0]]
    if not fits:
        return
    for (row, column), text in zip(at, words, strict=True):
        ink = colours.ink(cells.scale, cells.colour[row, column], dark=style.dark)
        axes.text(column, row, text, size=fits[0], color=ink, ha="center", va="center", zorder=3)


def _scale(drawn: Drawing, axes: Axes, scale: Scale, style: Style) -> None:
    norm = Normalize(scale.low, scale.high)
    mappable = ScalarMappable(norm, colour_map(scale, dark=style.dark))
    bar = drawn.colorbar(mappable, ax=axes, fraction=0.03, pad=0.02, aspect=30)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=style.words, labelsize=SMALL, length=0)
    bar.set_ticks([at for at, _ in scale.ticks], labels=[literal(text) for _, text in scale.ticks])
    bar.minorticks_off()
