"""What is seen of a job's results: one file for each view that an analysis can name.

A view without a file here gets bars, cards and a table (`plain.py`).
"""

import importlib
import importlib.util
from collections.abc import Callable

from app.shown import Shown

PLAIN = "plain"


def panel(view: str) -> Callable[[Shown], None]:
    """Return what draws a view: its own file's `draw`, or the plain one."""
    name = view if view.isidentifier() and _is_there(view) else PLAIN
    found: Callable[[Shown], None] = importlib.import_module(f"{__name__}.{name}").draw
    return found


def _is_there(view: str) -> bool:
    return importlib.util.find_spec(f"{__name__}.{view}") is not None
