"""Which figures a job has in a report: those of its view, as its page draws them at first.

A view without a file in `app/reports/views/` gets bars of its first columns, so that an analysis
dropped in has figures with nothing edited here.
"""

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

from app.plots.figure import Figure
from app.shown import Shown

PLAIN = "plain"
FOLDER = "app.reports.views"


def figures(shown: Shown) -> list[Figure]:
    """Return the figures of a job that has rows; none where nothing was measured."""
    if shown.rows.empty:
        return []
    draw: Callable[[Shown], list[Figure]] = _module(str(shown.declared.get("view", ""))).figures
    return draw(shown)


def columns(shown: Shown) -> list[str]:
    """Return the columns that the view's table shows where a person reads; [] for the usual."""
    named = getattr(_module(str(shown.declared.get("view", ""))), "COLUMNS", ())
    return [name for name in named if name in shown.rows]


def _module(view: str) -> Any:
    known = view.isidentifier() and importlib.util.find_spec(f"{FOLDER}.{view}") is not None
    return importlib.import_module(f"{FOLDER}.{view if known else PLAIN}")
