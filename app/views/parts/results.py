"""A job's results: the panel of its view, then every row as a table to look up and to take away."""

import functools
import io
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from app import quantities
from app.shown import Shown, of_the_model, without_idle
from app.views.parts import states
from app.views.parts.panels import panel
from jobs.states import RESUMABLE

LONG = 12  # numbers of a list that a cell of the table can show


def draw(client: Any, declared: Mapping[str, Any], job: Mapping[str, Any]) -> None:
    """Draw what a job has found so far."""
    shown = Shown.of(client, declared, job)
    if shown.rows.empty:
        states.empty(*_nothing(job["state"]))
        return
    panel(str(declared.get("view", "")))(shown)
    with st.expander("All rows, and downloads"):
        _table(shown)


def _table(shown: Shown) -> None:
    table = without_idle(shown.rows).drop(columns=of_the_model(shown.rows, shown.columns))
    titles = {name: st.column_config.Column(name, help=c.get("help")) for name, c in _named(shown)}
    st.dataframe(
        short_lists(table),
        hide_index=True,
        placeholder=quantities.NOT_KNOWN,
        height=300,
        column_config=titles,
    )
    with st.container(horizontal=True):
        for word, ending, written in (("CSV", "csv", as_csv), ("Parquet", "parquet", as_parquet)):
            st.download_button(
                f"Download {word}",
                functools.partial(written, table),
                file_name=f"{shown.job['id']}.{ending}",
                on_click="ignore",
            )


def _named(shown: Shown) -> list[tuple[str, Mapping[str, Any]]]:
    return [(name, column) for name, column in shown.columns.items() if name in shown.rows]


def short_lists(found: pd.DataFrame) -> pd.DataFrame:
    """Return the table with long lists as their length: a browser cannot show 65,536 numbers.

    A column that has a long one is text in every row, for a column of a table is of one kind.
    """

    def several(value: Any) -> bool:
        return hasattr(value, "__len__") and not isinstance(value, str)

    def cell(value: Any) -> Any:
        if not several(value):
            return value
        if len(value) > LONG:
            return f"{len(value)} numbers"
        return ", ".join(quantities.digits(number) for number in value)

    def has_long(column: pd.Series) -> bool:
        return any(several(value) and len(value) > LONG for value in column)

    lists = [name for name in found if found[name].dtype == object and has_long(found[name])]
    return found.assign(**{str(name): found[name].map(cell) for name in lists})


def as_csv(table: pd.DataFrame) -> bytes:
    """Return the table as comma-separated text."""
    return table.to_csv(index=False).encode()


def as_parquet(table: pd.DataFrame) -> bytes:
    """Return the table as a Parquet file."""
    held = io.BytesIO()
    table.to_parquet(held, index=False)
    return held.getvalue()


def _nothing(state: str) -> tuple[str, str]:
    """Return why there are no rows, and what to do."""
    if state == "FAILED":
        return "No results", "The job failed before a unit was finished. **Log** says how."
    if state in RESUMABLE:
        return "No results", "The job stopped before a unit was finished."
    if state == "DONE":
        return "No results", "Nothing was measured. **Units** gives the reason for each."
    return "No results yet", "Rows appear here as the units finish."
