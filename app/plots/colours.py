"""Colours that stay apart for colour-blind eyes, on a white page and on a dark one.

The qualitative set is Okabe and Ito's (https://jfly.uni-koeln.de/color/); ranks run from pale to
deep blue (ColorBrewer's Blues), differences from orange through the page's own grey to blue.
"""

import numpy as np

from app.plots.figure import Figure, Role, Scale, Series

DASHES: dict[Role, str] = {
    "shuffled": "dash",
    "noise": "dot",
    "edge": "dot",
    "energy": "dash",
    "optimal": "dashdot",
    "welore": "longdash",
    "floor": "dot",
    "fit": "solid",
}
LIGHT: dict[Role, str] = {
    "layer": "#3b5bdb",
    "shuffled": "#69717a",
    "noise": "#69717a",
    "edge": "#c2410c",
    "energy": "#0b7a58",
    "optimal": "#a5408b",
    "welore": "#965900",
    "floor": "#69717a",
    "fit": "#c2410c",
    "other": "#0072b2",
    "control": "#0b7a58",
    "front": "#4a4f57",
}
DARK: dict[Role, str] = {
    "layer": "#8ba3ff",
    "shuffled": "#a3a8ae",
    "noise": "#a3a8ae",
    "edge": "#ff8a5b",
    "energy": "#43c59e",
    "optimal": "#e08acb",
    "welore": "#f0b429",
    "floor": "#a3a8ae",
    "fit": "#ff8a5b",
    "other": "#56b4e9",
    "control": "#43c59e",
    "front": "#d6d3cc",
}
OVERLAID = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#999999")
OVERLAID_DARK = ("#56b4e9", "#e69f00", "#2bb88f", "#ff7a45", "#9aa7ff", "#e29ac4", "#bbbbbb")
# On a ground of the luminance EVEN black and white have the same contrast, 4.58 to 1; any other ink
# would have less on some cell than the 4.5 that WCAG 2.2 asks.
DARK_INK, PALE_INK, EVEN = "#000000", "#ffffff", 0.179
# The page and its words, as .streamlit/config.toml has them, the quieter words of axes, and lines
# that stay behind the data.
PAGE, PAGE_DARK = "#ffffff", "#171614"
WORDS, WORDS_DARK = "#15181d", "#eceae6"
SOFT, SOFT_DARK = "#59616b", "#b8b6b0"
GRID, GRID_DARK = "#e6e6e3", "#33312d"
BLUES = ((0.0, "#eaf2fb"), (0.25, "#bcd7ed"), (0.5, "#6daed5"), (0.75, "#2a7ab9"), (1.0, "#08306b"))
DIVERGING = (
    (0.0, "#a8500c"),
    (0.25, "#eaa35c"),
    (0.5, "#f4f3f1"),
    (0.75, "#7fb2dd"),
    (1.0, "#17569b"),
)
DIVERGING_DARK = (
    (0.0, "#f0954a"),
    (0.25, "#96571f"),
    (0.5, "#35332f"),
    (0.75, "#2f6395"),
    (1.0, "#74b3ee"),
)


def colour(role: Role, *, dark: bool) -> str:
    """Return the colour of a line by what it stands for."""
    return (DARK if dark else LIGHT)[role]


def overlaid(position: int, *, dark: bool) -> str:
    """Return the colour of the n-th of several layers drawn together."""
    colours = OVERLAID_DARK if dark else OVERLAID
    return colours[position % len(colours)]


def of_series(figure: Figure, *, dark: bool) -> list[tuple[Series, str, int]]:
    """Return each series with its colour and how often the colours have begun anew.

    Layers have a colour each where there are several; all else goes by what it stands for.
    """
    several = sum(series.role == "layer" for series in figure.series) > 1
    found, place = [], 0
    for series in figure.series:
        if several and series.role == "layer":
            found.append((series, overlaid(place, dark=dark), place // len(OVERLAID)))
            place += 1
        else:
            found.append((series, colour(series.role, dark=dark), 0))
    return found


def translucent(hexadecimal: str, share: float) -> str:
    """Return a colour that lets what is under it show through."""
    red, green, blue = (int(hexadecimal[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share:g})"


def steps(kind: str, *, dark: bool) -> tuple[tuple[float, str], ...]:
    """Return the colour scale of a kind of quantity."""
    if kind == "sequential":
        return BLUES
    return DIVERGING_DARK if dark else DIVERGING


def brightness(scale: tuple[tuple[float, str], ...], share: float) -> float:
    """Return WCAG's relative luminance of a colour scale at a share of its length, 0 to 1."""
    levels = np.array(_channels(scale, share))
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def ink_at(scale: tuple[tuple[float, str], ...], share: float) -> str:
    """Return black or white, whichever is read better on a colour scale at a share of it."""
    return DARK_INK if brightness(scale, share) > EVEN else PALE_INK


def ink(scale: Scale, value: float, *, dark: bool) -> str:
    """Return the colour of a number that can be read on the cell of its value."""
    if np.isnan(value):
        return PALE_INK if dark else DARK_INK
    share = float(np.clip((value - scale.low) / (scale.high - scale.low), 0, 1))
    return ink_at(steps(scale.kind, dark=dark), share)


def mixed(scale: tuple[tuple[float, str], ...], share: float) -> str:
    """Return the colour of a colour scale at a share of its length."""
    return "#" + "".join(f"{round(255 * level):02x}" for level in _channels(scale, share))


def _channels(scale: tuple[tuple[float, str], ...], share: float) -> list[float]:
    at = [position for position, _ in scale]
    channels = [[int(name[i : i + 2], 16) / 255 for i in (1, 3, 5)] for _, name in scale]
    return [float(np.interp(share, at, levels)) for levels in zip(*channels, strict=True)]
