"""Words can be read: the theme's pairs of colours have the contrast that WCAG 2.2 asks, 4.5 to 1.

What a browser shows is looked at in `tests/browser/test_accessibility.py`. Figures are drawn in
SVG, whose words axe-core does not look at: theirs are checked here.
"""

import re
import tomllib
from pathlib import Path

import pytest

from app.plots import colours

ROOT = Path(__file__).parents[2]
THEMES = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["theme"]
LEAST = 4.5
CAPTION, CHOSEN = 0.6, 0.1  # how opaque Streamlit's captions are, and the ground of a chosen pill


def channels(colour):
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def luminance(levels):
    """Return WCAG's relative luminance of sRGB levels."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in levels]
    return sum(share * c for share, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(colour, ground, opacity=1.0):
    """Return the contrast of a colour that lets the ground through."""
    pairs = zip(channels(colour), channels(ground), strict=True)
    seen = luminance([opacity * over + (1 - opacity) * under for over, under in pairs])
    high, low = sorted((seen, luminance(channels(ground))), reverse=True)
    return (high + 0.05) / (low + 0.05)


def tinted(colour, ground, opacity):
    pairs = zip(channels(colour), channels(ground), strict=True)
    return "#" + "".join(f"{round(255 * (opacity * c + (1 - opacity) * g)):02x}" for c, g in pairs)


def test_contrast_is_wcags():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # WCAG's near miss


@pytest.mark.parametrize("name", ["light", "dark"])
def test_captions_can_be_read_on_every_ground(name):
    theme = THEMES[name]
    grounds = [theme["backgroundColor"], theme["secondaryBackgroundColor"]]
    for ground in [*grounds, theme["sidebar"]["backgroundColor"]]:
        assert contrast(theme["textColor"], ground, CAPTION) >= LEAST, ground


@pytest.mark.parametrize("name", ["light", "dark"])
def test_words_on_the_primary_colour_and_in_it_can_be_read(name):
    primary, ground = THEMES[name]["primaryColor"], THEMES[name]["backgroundColor"]
    style = (ROOT / "app" / "page.css").read_text()
    on_it = re.search(r"light-dark\((#\w+), (#\w+)\)", style).groups()[name == "dark"]
    assert contrast(on_it, primary) >= LEAST
    assert contrast(primary, tinted(primary, ground, CHOSEN)) >= LEAST


@pytest.mark.parametrize("dark", [False, True])
def test_words_of_figures_can_be_read_on_the_page(dark):
    theme = THEMES["dark" if dark else "light"]
    page = colours.PAGE_DARK if dark else colours.PAGE
    words = colours.WORDS_DARK if dark else colours.WORDS
    assert (page, words) == (theme["backgroundColor"], theme["textColor"])
    written = {role: colours.colour(role, dark=dark) for role in colours.LIGHT}
    written |= {"words": words, "axes": colours.SOFT_DARK if dark else colours.SOFT}
    assert {role: c for role, c in written.items() if contrast(c, page) < LEAST} == {}


@pytest.mark.parametrize("scale", [colours.BLUES, colours.DIVERGING, colours.DIVERGING_DARK])
def test_numbers_can_be_read_on_cells_of_every_colour(scale):
    shares = [place / 500 for place in range(501)]
    found = [contrast(colours.ink_at(scale, at), colours.mixed(scale, at)) for at in shares]
    assert min(found) >= LEAST
