"""A job's results: the panel of its view, then every row as a table to look up and to take away."""

import functools
import io
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from app import quantities
from app.views.parts import states
from app.views.parts.panels import panel, plain
from app.views.parts.panels.shown import Shown
from jobs.states import ACTIVE, RESUMABLE

TOLD = ("failed", "zero")  # rows without numbers that say why
LONG = 12  # numbers of a list that a cell of the table can show


def draw(client: Any, declared: Mapping[str, Any], job: Mapping[str, Any]) -> None:
    """Draw what a job has found so far."""
    shown = _shown(client, declared, job)
    if shown.rows.empty:
        states.empty(*_nothing(job["state"]))
        return
    panel(str(declared.get("view", "")))(shown)
    with st.expander("All rows, and downloads"):
        _table(shown)


def _shown(client: Any, declared: Mapping[str, Any], job: Mapping[str, Any]) -> Shown:
    columns = [column["name"] for column in declared.get("columns", [])]
    rows = measured(client.store.results(job["id"]), columns)
    rows = in_order(rows, list(client.store.labels(job["model"])["layer"]))
    return Shown(client, declared, job, rows, client.array, job["state"] in ACTIVE)


def measured(found: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Return the rows with numbers, and those that say why they have none.

    Skipped tensors, spectra made on the way and units that wait are under Units.
    """
    numbers = [name for name in columns if name in found]
    kept = found[found[numbers].notna().any(axis=1) | found["status"].isin(TOLD)]
    return kept.assign(layer=kept["layer"].fillna(kept["label"])) if "layer" in kept else kept


def in_order(found: pd.DataFrame, layers: list[str]) -> pd.DataFrame:
    """Return the rows in the model's order of layers; units finish in another."""
    place = {name: i for i, name in enumerate(layers)}

    def where(layer: str) -> int:
        return place.get(layer, place.get(str(layer).partition("[")[0], len(place)))

    name = "layer" if "layer" in found else "label"
    return found.sort_values(name, key=lambda column: column.map(where), kind="stable")


def _table(shown: Shown) -> None:
    table = without_idle(shown.rows).drop(columns=plain.of_the_model(shown.rows, shown.columns))
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


def without_idle(found: pd.DataFrame) -> pd.DataFrame:
    """Return the table without columns that say nothing here."""
    idle = ["message"] if (found["message"].fillna("") == "").all() else []
    idle += ["label"] if "layer" in found else []
    return found.drop(columns=idle)


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
