"""Where values differ: settings of any kind, and numbers beyond a tolerance."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd


def settings(subjects: Sequence[Mapping[str, Any]], *, every: bool = False) -> pd.DataFrame:
    """Return settings as rows and subjects as columns 0, 1, ...: those that differ, or `every` one.

    The index holds the names in the order in which they are first met. What a subject has not is
    None, which differs from any value that another has.
    """
    names = list(dict.fromkeys(name for subject in subjects for name in subject))
    shown = [
        name
        for name in names
        if every or len({_mark(subject.get(name)) for subject in subjects}) > 1
    ]
    return pd.DataFrame(
        {at: [subject.get(name) for name in shown] for at, subject in enumerate(subjects)},
        index=pd.Index(shown, name="setting", dtype=object),
        dtype=object,
    )


def flat(given: Any, under: str = "") -> dict[str, Any]:
    """Return nested settings as one level: {"a": {"b": 1}} is {"a.b": 1}; lists stay whole."""
    if not isinstance(given, Mapping):
        return {under: given} if under else {}
    found: dict[str, Any] = {}
    for name, value in given.items():
        found |= flat(value, f"{under}.{name}" if under else str(name))
    return found


def numbers(values: np.ndarray, tolerance: float) -> np.ndarray:
    """Return which rows of (rows, subjects) differ, bool (rows,).

    A row differs if max - min > tolerance * max |value|, or if only some of it is known (finite).
    """
    known = np.isfinite(values)
    there = np.where(known, values, np.nan)
    some = known.any(1)
    apart = np.zeros(len(values), dtype=bool)
    shown = there[some]
    reach = np.nanmax(np.abs(shown), axis=1) if len(shown) else np.empty(0)
    spread = np.nanmax(shown, axis=1) - np.nanmin(shown, axis=1) if len(shown) else np.empty(0)
    apart[some] = spread > tolerance * reach
    return np.asarray(apart | (some & ~known.all(1)))


def _mark(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
