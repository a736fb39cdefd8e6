"""Places as a table: the numbers of every subject side by side, and how far each is from the first.

The table's arithmetic is here as a pure function; `draw` adds the filter and shows it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app import quantities
from app.about import comparison as about
from app.plots import difference
from app.plots.difference import MINUS
from app.views.parts import chart, permalink
from app.views.parts.comparison.subjects import LETTERS, height
from jobs.comparison import differing
from jobs.comparison.places import Aligned

TOLERANCES = {
    "1e-6": "more than rounding (1e-6)",
    "0.001": "more than 0.1 %",
    "0.01": "more than 1 %",
    "0.05": "more than 5 %",
    "0.2": "more than 20 %",
}


@dataclass(frozen=True, eq=False)
class Column:
    """One quantity of every subject: its title, its help, and the numbers (places, subjects).

    `way` is how the first is held against the others, a key of `difference.WAYS`.
    """

    title: str
    help: str
    values: np.ndarray
    way: str = "difference"

    @property
    def sign(self) -> str:
        """What stands between two letters."""
        return MINUS if self.way == "difference" else "/"


def table(met: Aligned, columns: Sequence[Column], layers: Sequence[pd.Series]) -> pd.DataFrame:
    """Return a row for each place: where it is, then each quantity of A, B, ... and differences.

    `layers` are the subjects' own names of what stands there; they are shown where they differ.
    """
    found = met.places[["layer", "block", "module"]].copy()
    if found["block"].isna().all():
        found = found.drop(columns="block")
    for letter, names in list(zip(LETTERS, layers, strict=False))[1:]:
        if (names.notna() & (names != met.places["layer"])).any():
            found[f"layer of {letter}"] = names
    if (met.at < 0).any():
        found["in"] = [_held(row) for row in met.at]
    for column in columns:
        values, apart = _names(column)
        for subject, name in enumerate(values):
            found[name] = column.values[:, subject]
        for subject, name in enumerate(apart, start=1):
            pair = column.values[:, 0], column.values[:, subject]
            found[name] = difference.values(*pair, column.way)
    return found


def _names(column: Column) -> tuple[list[str], list[str]]:
    """Return the headings of a quantity's values, and of the first's differences from others."""
    letters = LETTERS[: column.values.shape[1]]
    return (
        [f"{letter} {column.title}" for letter in letters],
        [f"A {column.sign} {letter} {column.title}" for letter in letters[1:]],
    )


def differing_rows(columns: Sequence[Column], tolerance: float) -> np.ndarray:
    """Return which places differ in any of the quantities, bool (places,)."""
    apart = [differing.numbers(column.values, tolerance) for column in columns]
    return np.logical_or.reduce(apart)


def _held(row: np.ndarray) -> str:
    there = [letter for letter, at in zip(LETTERS, row, strict=False) if at >= 0]
    return "all" if len(there) == len(row) else " and ".join(there) + " only"


def draw(
    met: Aligned, columns: Sequence[Column], layers: Sequence[pd.Series], title: str, what: str
) -> pd.DataFrame:
    """Draw the filter and the table; return the shown rows."""
    heading = st.container()
    search, only, tolerance = st.columns([2, 1.4, 2], vertical_alignment="bottom")
    with search:
        find = permalink.words(
            "Find a layer", "find", placeholder="blocks.3", icon=":material/search:"
        )
    with only:
        filtered = permalink.switch("Only what differs", "differing", default=True)
    with tolerance:
        beyond = permalink.choice(
            "Differs by", list(TOLERANCES), "tolerance", format_func=TOLERANCES.__getitem__,
            disabled=not filtered, help="Of the largest of the compared numbers of a row.",
        )  # fmt: skip
    keep = np.array(met.places["layer"].str.contains(find, case=False, regex=False))
    if filtered:
        keep &= differing_rows(columns, float(beyond))
    found = table(met, columns, layers)
    shown = found[keep]
    with heading:
        chart.heading(title, _caption(len(shown), len(found), what, beyond if filtered else ""),
                      about.DIFFERS)  # fmt: skip
    if shown.empty:
        st.info(
            f"None of {len(found)} {what} fits: clear the search, lower the tolerance or turn off "
            "“Only what differs”."
        )
        return shown
    st.dataframe(
        shown,
        hide_index=True,
        height=height(len(shown)),
        placeholder=quantities.NOT_KNOWN,
        column_config=_config(columns),
        alt=title,
    )
    return shown


def _caption(shown: int, whole: int, what: str, beyond: str) -> str:
    if not beyond:
        return f"{shown} of {whole} {what}."
    return (
        f"{shown} of {whole} {what}: those whose numbers differ by {TOLERANCES[beyond]} of the "
        "largest, or that only some have."
    )


def _config(columns: Sequence[Column]) -> Mapping[str, Any]:
    config: dict[str, Any] = {
        "layer": st.column_config.TextColumn(pinned=True),
        "block": st.column_config.NumberColumn(width=60),
        "in": st.column_config.TextColumn(help="which of the compared have such a layer"),
    }
    for column in columns:
        digits = "%d" if _whole(column.values) else "%.4g"
        apart = digits.replace("%", "%+") if column.way == "difference" else "%.4g"
        for form, names in zip((digits, apart), _names(column), strict=True):
            for name in names:
                config[name] = st.column_config.NumberColumn(format=form, help=column.help or None)
    return config


def _whole(values: np.ndarray) -> bool:
    known = values[np.isfinite(values)]
    return bool((known % 1 == 0).all())
