"""Draw a `Figure` with matplotlib: in a file, for paper or a slide, with no browser.

Never through pyplot, which keeps each figure that it made and serves one thread.
"""

from io import BytesIO
from typing import Literal

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Drawing

from app.plots import printed_axes, printed_legend, printed_map, printed_marks, printed_series
from app.plots.figure import Figure
from app.plots.printed_style import TITLE, Style
from app.plots.printed_words import wrapped

Kind = Literal["png", "svg", "pdf"]
WIDTH, HEIGHT = 6.4, 3.4  # inches, without the title
LINE = 1.4 * TITLE / 72  # inches of a line of the title
DOTS = 200  # of a PNG, per inch
# A file of the same numbers has the same bytes.
UNDATED = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}

# What a figure looks like must not depend on a matplotlibrc of this machine.
matplotlib.rcdefaults()
matplotlib.rcParams["svg.hashsalt"] = "rankscope"


def render_matplotlib(
    figure: Figure, *, dark: bool = False, width: float = WIDTH, height: float | None = None,
    titled: bool = True,
) -> Drawing:  # fmt: skip
    """Return the drawing, `width` by `height` inches; without a height as high as it needs."""
    style = Style(dark)
    lines = wrapped(figure.title, width, TITLE) if titled and figure.title else []
    needed = (printed_map.inches(figure.cells) if figure.cells else HEIGHT) + LINE * len(lines)
    size = (width, height or needed)
    drawn = Drawing(figsize=size, layout="constrained", facecolor=style.page)
    FigureCanvasAgg(drawn)
    if lines:
        words = {"size": TITLE, "color": style.words, "x": 0.012, "ha": "left"}
        drawn.suptitle("\n".join(lines), **words)
    if figure.cells is not None:
        printed_map.draw_map(drawn, figure, figure.cells, style)
        return drawn
    beyond = _draw_curves(drawn, figure, style)
    if height is None:
        drawn.set_figheight(needed + beyond)
    return drawn


def as_file(figure: Figure, kind: Kind, *, dark: bool = False) -> bytes:
    """Return the bytes of a figure's file."""
    held = BytesIO()
    drawn = render_matplotlib(figure, dark=dark)
    drawn.savefig(held, format=kind, dpi=DOTS, metadata=UNDATED[kind])
    return held.getvalue()


def _draw_curves(drawn: Drawing, figure: Figure, style: Style) -> float:
    """Draw the series, the axes, the lines across and the legend; return the inches it adds."""
    axes = drawn.add_subplot()
    printed_axes.begin(axes, figure, style)
    shown = printed_series.draw_series(axes, figure, style)
    printed_marks.draw_lines(axes, figure, style)
    printed_axes.finish(axes, figure, style)
    printed_marks.write_words(axes, figure, style)
    if len(shown) < 2:
        return 0.0
    names = [series.name for series in figure.series]
    return printed_legend.draw_legend(axes, shown, names, style)
