"""What each view shows, in words with formula and paper: pages and reports read the same.

Markdown with formulas between `$`, as pages want it; `markup.py` reads it for other formats. One
file for each view that has something to say, with its texts in `TEXTS`.
"""

import importlib
import importlib.util


def texts(view: str) -> tuple[str, ...]:
    """Return the texts of a view in order; none where it has no file here."""
    if not view.isidentifier() or importlib.util.find_spec(f"{__name__}.{view}") is None:
        return ()
    found: tuple[str, ...] = getattr(importlib.import_module(f"{__name__}.{view}"), "TEXTS", ())
    return found
