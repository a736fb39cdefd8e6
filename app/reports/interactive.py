"""A figure as plotly's JSON for a page that stands alone: one drawing, and what dark changes."""

import base64
import json
from typing import Any

import numpy as np

from app.plots import colours
from app.plots.figure import Figure
from app.plots.plotly import render_plotly
from app.reports.reduced import reduced

HEIGHT = 360
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
Change = tuple[list[str | int], Any]  # where in the drawing, and what stands there


def as_json(figure: Figure) -> str:
    """Return `{"data", "layout", "dark"}`: `dark` lists what is another on a dark page.

    Numbers are float32 in base64; nothing in the text can end a script element.
    """
    less = reduced(figure)
    light, dark = _drawn(less, dark=False), _drawn(less, dark=True)
    found = {**light, "dark": changes(light, dark)}
    return json.dumps(found, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")


def changes(first: Any, second: Any) -> list[Change]:
    """Return where two drawings differ, and what the second has there."""
    if isinstance(first, dict) and isinstance(second, dict) and first.keys() == second.keys():
        return [([k, *at], v) for k in first for at, v in changes(first[k], second[k])]
    if isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        pairs = enumerate(zip(first, second, strict=True))
        return [([i, *at], v) for i, (a, b) in pairs for at, v in changes(a, b)]
    return [] if first == second else [([], second)]


def _drawn(figure: Figure, *, dark: bool) -> dict[str, Any]:
    drawn = render_plotly(figure, dark=dark, height=HEIGHT)
    words = colours.WORDS_DARK if dark else colours.WORDS
    grid = colours.GRID_DARK if dark else colours.GRID
    lines = {"gridcolor": grid, "linecolor": grid, "zerolinecolor": grid, "tickcolor": grid}
    drawn.update_layout(
        template="none",
        font={"family": FONT, "size": 12, "color": words},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        autosize=True,
    )
    drawn.update_xaxes(**lines, automargin=True)
    drawn.update_yaxes(**lines, automargin=True)
    made = drawn.to_plotly_json()
    return {name: _plain(made[name]) for name in ("data", "layout")}


def _single(held: dict[str, Any]) -> dict[str, Any]:
    """Return an array that plotly has put into base64, in half the bytes."""
    values = np.frombuffer(base64.b64decode(held["bdata"]), "<f8").astype("<f4")
    return held | {"dtype": "f4", "bdata": base64.b64encode(values.tobytes()).decode()}


def _plain(value: Any) -> Any:
    """Return a drawing that JSON can hold: what is not a number is null."""
    if isinstance(value, dict) and value.get("dtype") == "f8":
        return _single(value)
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
