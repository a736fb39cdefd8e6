"""Did you mean: the nearest known names to one that is not known."""

import difflib
from collections.abc import Iterable

from jobs.errors import JobError


def unknown(what: str, name: str, known: Iterable[str], cure: str = "") -> JobError:
    """Return the error for a name that is none of `known`, with the nearest one that is."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        hint = f"did you mean {near[0]!r}?"
    else:
        hint = f"known: {', '.join(names)}" if names else "there are none yet"
    return JobError(f"unknown {what} {name!r}: {hint}" + (f" ({cure})" if cure else ""))
