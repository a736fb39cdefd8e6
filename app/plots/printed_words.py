"""Words as matplotlib draws them: names come from files and are neither formula nor markup."""

import textwrap
from functools import cache

from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties, findfont, get_font

FONT = "DejaVu Sans"  # which matplotlib carries
WIDE = 0.56  # of its size, about what a letter takes


def literal(text: str) -> str:
    """Return text that is drawn as it is; a sign that the font lacks is named by its code."""
    return "".join(_drawn(sign) for sign in text).replace("$", r"\$")


def wrapped(text: str, width: float, size: float) -> list[str]:
    """Return literal text in lines that fit into `width` inches at a size in points."""
    return textwrap.wrap(literal(text), max(20, int(72 * width / (WIDE * size))))


def widths(axes: Axes, texts: list[str], size: float) -> list[float]:
    """Return the points that literal texts take side by side."""
    figure = axes.get_figure(root=True)
    font, scale = FontProperties(family=FONT, size=size), 72 / figure.dpi
    measure = figure.canvas.get_renderer().get_text_width_height_descent
    return [scale * measure(text.replace(r"\$", "$"), font, ismath=False)[0] for text in texts]


def _drawn(sign: str) -> str:
    return sign if ord(sign) in _signs() else sign.encode("unicode_escape").decode()


@cache
def _signs() -> frozenset[int]:
    return frozenset(get_font(findfont(FONT)).get_charmap())
