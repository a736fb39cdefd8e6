"""Tables and numbers for a terminal."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

WIDEST = 60


def number(value: Any) -> str:
    """Return a value with sensible digits; nothing for what is missing."""
    if value is None or value is pd.NaT or value is pd.NA:
        return ""
    if isinstance(value, float) and math.isnan(value):
        return ""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return plain(str(value))


def plain(words: str) -> str:
    """Return text with what would steer a terminal, or break a line, written as an escape."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in words
    )


def count(value: Any) -> str:
    """Return a large number short: 4.9 M, 12.3 k."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {letter}"
    return str(value)


def size(number: float) -> str:
    """Return bytes in decimal units: 31 GB, 1.2 GB, 640 MB."""
    for unit, letters in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= unit:
            return f"{number / unit:.{0 if number >= 10 * unit else 1}f} {letters}"
    return f"{number:.0f} B"


def table(frame: pd.DataFrame, columns: Sequence[str] | None = None) -> str:
    """Return the frame as aligned text: words to the left, numbers to the right.

    Long words are cut, and show it, but for those of the last column.
    """
    chosen = list(columns or frame.columns)
    cells = [[_cut(number(value)) for value in frame[name]] for name in chosen[:-1]]
    cells += [[number(value) for value in frame[name]] for name in chosen[-1:]]
    widths = [max(map(len, [name, *column])) for name, column in zip(chosen, cells, strict=True)]
    right = [pd.api.types.is_numeric_dtype(frame[name]) for name in chosen]
    lines = [_line(chosen, widths, right), _line(["-" * w for w in widths], widths, right)]
    lines += [_line(row, widths, right) for row in zip(*cells, strict=True)]
    return "\n".join(lines)


def _cut(word: str) -> str:
    return word if len(word) <= WIDEST else word[: WIDEST - 1] + "…"


def duration(seconds: float) -> str:
    """Return a time in the largest fitting unit."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = (
        cell.rjust(width) if to_right else cell.ljust(width)
        for cell, width, to_right in zip(cells, widths, right, strict=True)
    )
    return "  ".join(padded).rstrip()
