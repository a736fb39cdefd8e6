"""Who is compared: two to four subjects under the letters A to D, in the order they were chosen."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app import quantities
from app.views.parts import chart, permalink
from jobs.comparison import differing

LETTERS = "ABCD"
MOST = len(LETTERS)
NAME_WIDTH, WIDTH = 240, 640  # pixels: of names, and of all subjects
ROW, FRAME = 35, 2  # pixels of a table's row, and of its border
TOO_FEW = (
    "Choose at least two",
    "Two to four stand side by side here; the first that is chosen is A.",
)


def pick(label: str, names: Mapping[str, str], key: str) -> list[str]:
    """Ask for the subjects; `names` maps each to its words. The first two are the default."""
    return permalink.choices(
        label,
        list(names),
        key,
        list(names)[:2],
        always=True,
        max_selections=MOST,
        format_func=lambda name: names[name],
        placeholder="Choose two to four",
        help="Two to four. The first is A: differences are from it.",
    )


def lettered(names: Sequence[str]) -> list[str]:
    """Return each subject with its letter before it."""
    return [f"{letter} · {name}" for letter, name in zip(LETTERS, names, strict=False)]


def settings(
    subjects: Sequence[Mapping[str, Any]], names: Sequence[str], key: str, what: str
) -> None:
    """Draw a table of what differs between subjects, or of all when that is asked for.

    `names` head the columns, `what` names the rows in words.
    """
    left, right = st.columns([3, 1.2], vertical_alignment="bottom")
    with right:
        every = permalink.switch("Also what is equal", key)
    shown = differing.settings(subjects, every=every)
    whole = len(differing.settings(subjects, every=True))
    with left:
        apart = len(differing.settings(subjects))
        chart.heading(
            "Settings" if every else "What differs",
            f"{apart} of {whole} {what} differ." + ("" if every else " Equal ones are left out."),
        )
    if shown.empty:
        st.info(f"All {what} are equal.")
        return
    table = shown.map(_cell).reset_index()
    table.columns = pd.Index(["", *lettered(names)])
    st.dataframe(
        table,
        hide_index=True,
        height=height(len(table)),
        column_config=columns(list(table)),
        alt=f"{what} side by side",
    )


def columns(headings: Sequence[str]) -> dict[str, Any]:
    """Return the columns of a table of subjects: the names at the left, then as wide each."""
    width = WIDTH // max(len(headings) - 1, 1)
    others = {heading: st.column_config.TextColumn(width=width) for heading in headings[1:]}
    return {headings[0]: st.column_config.TextColumn(pinned=True, width=NAME_WIDTH), **others}


def height(rows: int, most: int = 11) -> int:
    """Return the pixels of a table that shows its rows, or as many as `most`, and scrolls."""
    return ROW * (min(rows, most) + 1) + FRAME


def _cell(value: Any) -> str:
    """Return a setting as text: columns hold numbers, words and lists side by side."""
    if value is None or value is pd.NA or value == "":
        return quantities.NOT_KNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return quantities.digits(value) if quantities.known(value) else quantities.NOT_KNOWN
    if isinstance(value, list | tuple):
        return ", ".join(_cell(item) for item in value) or quantities.NOT_KNOWN
    return str(value)
