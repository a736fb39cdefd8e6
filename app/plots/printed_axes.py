"""Axes and their ticks, as matplotlib wants them."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis as Drawn
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, ScalarFormatter

from app.plots import ticks
from app.plots.figure import Axis, Figure
from app.plots.printed_style import SMALL, SMALLEST, WRITTEN, Style
from app.plots.printed_words import literal, widths

SIDE_BY_SIDE = 0.84  # share of the drawing's width that is the plot's, at least
PITCH = 1.25  # of their size, what names need when they stand upright


def begin(axes: Axes, figure: Figure, style: Style) -> None:
    """Prepare a plot before anything is drawn into it: a log axis must know before its data."""
    for name, axis in (("x", figure.x), ("y", figure.y)):
        if axis.log:
            getattr(axes, f"set_{name}scale")("log", nonpositive="clip")
    dress(axes, figure, style)
    axes.set_axisbelow(True)
    # Between named places a line would say nothing.
    axes.grid(axis="y" if figure.x.names else "both", color=style.grid, linewidth=0.6)


def dress(axes: Axes, figure: Figure, style: Style) -> None:
    """Give a plot its page's colours and its axes' words."""
    axes.set_facecolor(style.page)
    axes.spines[:].set_visible(False)
    axes.tick_params(colors=style.words, labelsize=WRITTEN, length=0, pad=4.5, which="both")
    axes.set_xlabel(literal(figure.x.title), size=WRITTEN, color=style.words)
    axes.set_ylabel(literal(figure.y.title), size=WRITTEN, color=style.words)


def finish(axes: Axes, figure: Figure, style: Style) -> None:
    """Set the ends and the ticks once the data is there."""
    axes.set_xlim(figure.x.low, figure.x.high)
    axes.set_ylim(figure.y.low, figure.y.high)
    if figure.x.names and not figure.x.ticks and figure.x.low is None:
        axes.set_xlim(-0.7, len(figure.x.names) - 0.3)  # a name for each place, drawn or not
    across = ticks.named(figure.x, _most(axes))
    _tick(axes.xaxis, figure.x, axes.get_xlim(), across)
    _tick(axes.yaxis, figure.y, axes.get_ylim(), ticks.named(figure.y))
    if across:
        turn(axes, across)


def name(drawn: Drawn, found: list[ticks.Tick], **words: Any) -> None:
    """Write words at places, and nothing elsewhere."""
    drawn.set_major_locator(FixedLocator([at for at, _ in found]))
    drawn.set_ticklabels([literal(text) for _, text in found], **words)
    drawn.set_minor_locator(NullLocator())


def turn(axes: Axes, found: list[ticks.Tick]) -> None:
    """Turn the names below a plot upright where they have no room side by side."""
    room = _width(axes) / max(len(found), 1)
    if max(widths(axes, [literal(text) for _, text in found], WRITTEN)) + 4 <= room:
        return
    size = next((s for s in (WRITTEN, SMALL, SMALLEST) if PITCH * s <= room), SMALLEST)
    if room > 30:  # few long names are easier to read aslant
        words: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
    else:
        words = {"rotation": 90}
    name(axes.xaxis, found, size=size, **words)


def _width(axes: Axes) -> float:
    """Return about how many points wide the plot itself is."""
    return float(72 * SIDE_BY_SIDE * axes.get_figure(root=True).get_figwidth())


def _most(axes: Axes) -> int:
    """Return how many names there is room for when they stand upright."""
    return int(_width(axes) / (PITCH * SMALLEST))


def _tick(
    drawn: Drawn, axis: Axis, ends: tuple[float, float], named: list[ticks.Tick] | None
) -> None:
    found = ticks.decades(*sorted(ends)) if axis.log else named
    if found is not None:
        name(drawn, found)
        return
    drawn.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=axis.whole))
    drawn.set_major_formatter(ScalarFormatter(useOffset=False))
    drawn.get_offset_text().set_size(SMALL)
