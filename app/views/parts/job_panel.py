"""One job: how it stands, what it found, its log, and the buttons that act on it."""

import datetime
import io
import json
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from app import quantities
from app.plots import bars, metric
from app.views.parts import chart, permalink, states

RESUMABLE = ("FAILED", "CANCELLED", "INTERRUPTED")
UNIT_COLUMNS = ("label", "state", "message", "seconds", "device")


def draw(client: Any, analyses: Mapping[str, Any], job: Mapping[str, Any]) -> None:
    """Draw the chosen job."""
    _state(client, job)
    results, units, log = st.tabs(["Results", "Units", "Log"])
    with results:
        _results(client.store, analyses.get(job["analysis"], {}), job)
    with units:
        found = client.store.units(job["id"])
        st.dataframe(
            found[[n for n in UNIT_COLUMNS if n in found]], hide_index=True, placeholder=""
        )
    with log:
        lines = client.store.log_lines(job["id"])
        st.code("\n".join(_line(line) for line in lines.to_dict("records")) or "nothing yet", None)


def _state(client: Any, job: Mapping[str, Any]) -> None:
    """Say how the job stands; a failure names its layers."""
    params = json.loads(job["params"] or "{}")
    given = ", ".join(f"{key} = {value}" for key, value in params.items() if value is not None)
    said = f"Layers {job['layers']} · device {job['device']}"
    st.markdown(chart.plain(_how_it_stands(job)))
    st.caption(chart.plain(f"{said} · {given}" if given else said))
    failed = client.store.units(job["id"]).query("state == 'failed'")
    if job["state"] == "FAILED" or len(failed):
        named = [f"{row['label']}: {row['message']}" for row in failed.head(5).to_dict("records")]
        rest = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
        states.failed("; ".join(named) + rest if named else str(job["message"]))
    elif job["state"] in ("CANCELLED", "INTERRUPTED"):
        said = job["message"] or "What was finished is kept."
        st.warning(chart.plain(f"This job was {job['state'].lower()}. {said}"))
    if job["state"] in RESUMABLE and client.can_run and st.button("Resume", type="primary"):
        client.resume(job["id"])
        st.rerun()


def _how_it_stands(job: Mapping[str, Any]) -> str:
    """Return the state with the count of units and the time they took."""
    if not job["total"]:
        return f"{job['state'].capitalize()}."
    finished = int(job["done"] + job["skipped"] + job["failed"])
    said = f"{job['state'].capitalize()}: {finished} of {int(job['total'])} units"
    if job["skipped"]:
        said += f", {int(job['skipped'])} of them stored before"
    return f"{said}, in {took(job)}." if quantities.known(job["finished"]) else f"{said}."


def took(job: Mapping[str, Any]) -> str:
    """Return how long a job ran, or a dash while it does."""
    if not (quantities.known(job["started"]) and quantities.known(job["finished"])):
        return quantities.NOT_KNOWN
    return quantities.duration(job["finished"] - job["started"])


def _results(store: Any, declared: Mapping[str, Any], job: Mapping[str, Any]) -> None:
    """Draw any analysis' rows: bars of one column, the table, the downloads."""
    found = _in_order(store.results(job["id"]), list(store.labels(job["model"])["layer"]))
    if found.empty:
        states.empty("No results yet", "Rows appear here as the units finish.")
        return
    titles = {c["name"]: metric.title_of(c) for c in declared.get("columns", [])}
    notes = {c["name"] for c in declared.get("columns", []) if c.get("kind") == "note"}
    numeric = [n for n in titles if n not in notes and _is_number(found, n)]
    if numeric:
        column = permalink.choice("Draw", numeric, "draw", format_func=titles.__getitem__)
        figure = bars.by_layer(found, column, titles[column])
        st.caption(chart.plain(figure.caption))
        chart.draw(figure, "bars", height=280)
    st.dataframe(_told(found), hide_index=True, placeholder=quantities.NOT_KNOWN, height=300)
    with st.container(horizontal=True):
        for kind, written in (("csv", as_csv), ("parquet", as_parquet)):
            st.download_button(
                f"Download {kind.upper() if kind == 'csv' else 'Parquet'}",
                _later(written, found),
                file_name=f"{job['id']}.{kind}",
                on_click="ignore",
            )


def _in_order(found: pd.DataFrame, layers: list[str]) -> pd.DataFrame:
    """Return the rows in the model's order of layers; units finish in another."""
    place = {name: i for i, name in enumerate(layers)}
    name = "layer" if "layer" in found else "label"
    return found.sort_values(
        name, key=lambda column: column.map(lambda layer: place.get(layer, -1)), kind="stable"
    )


def _told(found: pd.DataFrame) -> pd.DataFrame:
    """Return the table without columns that say nothing here."""
    idle = ["message"] if (found["message"].fillna("") == "").all() else []
    idle += ["label"] if "layer" in found else []
    return found.drop(columns=idle)


def _is_number(table: pd.DataFrame, name: str) -> bool:
    return name in table and pd.api.types.is_numeric_dtype(table[name])


def _later(written: Callable[[pd.DataFrame], bytes], table: pd.DataFrame) -> Callable[[], bytes]:
    """Return what makes the file, called when the button is."""
    return lambda: written(table)


def as_csv(table: pd.DataFrame) -> bytes:
    """Return the table as comma-separated text."""
    return table.to_csv(index=False).encode()


def as_parquet(table: pd.DataFrame) -> bytes:
    """Return the table as a Parquet file."""
    held = io.BytesIO()
    table.to_parquet(held, index=False)
    return held.getvalue()


def _line(line: Mapping[str, Any]) -> str:
    at = datetime.datetime.fromtimestamp(line["at"]).strftime("%H:%M:%S")
    about = f" {line['unit']}" if line["unit"] else ""
    return f"{at} {line['level']:<7}{about} {line['text']}"
