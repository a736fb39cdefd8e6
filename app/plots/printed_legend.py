"""The legend: above the plot, where it covers no data, in as many columns as there is room for."""

from typing import Any

from matplotlib.axes import Axes

from app.plots.printed_axes import SIDE_BY_SIDE
from app.plots.printed_style import WRITTEN, Style
from app.plots.printed_words import literal, widths

HANDLE, APART, LINE = 2.0, 1.2, 1.5  # of the letters' size: a sign, the next column, a row
ROWS_INCLUDED = 1  # a usual plot is high enough for


def draw_legend(axes: Axes, handles: list[Any], names: list[str], style: Style) -> float:
    """Draw the legend; return how many inches its rows take beyond what a plot has room for."""
    words = [literal(name) for name in names]
    room = 72 * SIDE_BY_SIDE * axes.get_figure(root=True).get_figwidth()
    columns = _columns(widths(axes, words, WRITTEN), room)
    drawn = axes.legend(
        handles,
        [str(place) for place in range(len(words))],  # names may begin with "_": not drawn
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        borderaxespad=0.2,
        borderpad=0.2,
        ncols=columns,
        fontsize=WRITTEN,
        frameon=False,
        labelcolor=style.words,
        handlelength=HANDLE,
        columnspacing=APART,
    )
    for text, name in zip(drawn.get_texts(), words, strict=True):
        text.set_text(name)
    rows = -(-len(words) // columns)
    return max(0, rows - ROWS_INCLUDED) * LINE * WRITTEN / 72


def _columns(taken: list[float], room: float) -> int:
    """Return the most columns that fit; matplotlib fills one after the other."""
    beside = (HANDLE + 0.8 + APART) * WRITTEN
    for columns in range(len(taken), 1, -1):
        rows, more = divmod(len(taken), columns)
        ends = [rows + (at < more) for at in range(columns)]
        starts = [sum(ends[:at]) for at in range(columns)]
        widest = [max(taken[a : a + n]) for a, n in zip(starts, ends, strict=True)]
        if sum(widest) + columns * beside <= room:
            return columns
    return 1
