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
from jobs.errors import JobError

RESUMABLE = ("FAILED", "CANCELLED", "INTERRUPTED")
UNIT_COLUMNS = ("label", "state", "message", "seconds", "device")
TOLD = ("failed", "zero")  # rows without numbers that say why
FIRST_DRAWN = {"rank": 0, "ratio": 1}  # the kinds of columns that answer this tool's question
CARDS = 5  # in a row


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
    units = client.store.units(job["id"])
    failed = units[units["state"] == "failed"]
    if job["state"] == "FAILED" or len(failed):
        named = [
            states.short(f"{row['label']}: {row['message']}")
            for row in failed.head(5).to_dict("records")
        ]
        rest = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
        states.failed("; ".join(named) + rest if named else _whole_in_the_log(job["message"]))
    elif job["state"] in ("CANCELLED", "INTERRUPTED"):
        st.warning(chart.plain(_stopped(job)))
    resumable = job["state"] in RESUMABLE and client.can_run
    if job["state"] == "FAILED" and units.empty:  # what it asks for cannot be done: not resumed
        resumable = False
    if resumable and st.button("Resume", type="primary"):
        try:
            client.resume(job["id"])
        except JobError as error:
            states.failed(str(error))
            return
        st.rerun()


def _whole_in_the_log(message: Any) -> str:
    said = states.short(str(message))
    return said if said == str(message) else f"{said} The log has all of it."


def _stopped(job: Mapping[str, Any]) -> str:
    """Return how a job ended early: its message, which names the state, or the state."""
    state, message = job["state"].lower(), str(job["message"] or "").strip().rstrip(".")
    if not message or message.lower() == state:
        return f"This job was {state}. What was finished is kept."
    if message.lower().startswith(state):
        return f"This job was {state}{message[len(state) :]}."
    return f"This job was {state}: {message}."


def _how_it_stands(job: Mapping[str, Any]) -> str:
    """Return the state with the count of units and the time they took."""
    if not job["total"]:
        return f"{job['state'].capitalize()}."
    ended = int(job["done"] + job["skipped"] + job["failed"])
    spent = f" in {took(job)}" if quantities.known(job["finished"]) else ""
    said = f"{job['state'].capitalize()}: {ended} of {int(job['total'])} units{spent}"
    parts = {
        "computed": int(job["done"]),
        "failed": int(job["failed"]),
        "already stored": int(job["skipped"]),
    }
    shares = ", ".join(f"{count} {word}" for word, count in parts.items() if count)
    return f"{said} ({shares})." if shares else f"{said}."


def took(job: Mapping[str, Any]) -> str:
    """Return how long a job ran, or a dash while it does."""
    if not (quantities.known(job["started"]) and quantities.known(job["finished"])):
        return quantities.NOT_KNOWN
    return quantities.duration(job["finished"] - job["started"])


def _results(store: Any, declared: Mapping[str, Any], job: Mapping[str, Any]) -> None:
    """Draw any analysis' rows: bars of one column, the table, the downloads."""
    columns = {column["name"]: column for column in declared.get("columns", [])}
    stored = store.results(job["id"])
    found = _in_order(measured(stored, columns), list(store.labels(job["model"])["layer"]))
    if found.empty:
        states.empty(*_nothing(job["state"]))
        return
    shared = _shared(found, columns)
    _cards(found, [columns[name] for name in shared])
    titles = {name: metric.title_of(column) for name, column in columns.items()}
    numeric = [
        name
        for name, column in columns.items()
        if column.get("kind") != "note" and name not in shared and _is_number(found, name)
    ]
    if numeric:
        numeric.sort(key=lambda name: FIRST_DRAWN.get(columns[name].get("kind", ""), 2))
        column = permalink.choice("Draw", numeric, "draw", format_func=titles.__getitem__)
        figure = bars.by_layer(found, column, titles[column])
        st.caption(chart.plain(figure.caption))
        chart.draw(figure, "bars", height=280)
    table = _told(found).drop(columns=shared)
    st.dataframe(table, hide_index=True, placeholder=quantities.NOT_KNOWN, height=300)
    with st.container(horizontal=True):
        for kind, written in (("csv", as_csv), ("parquet", as_parquet)):
            st.download_button(
                f"Download {kind.upper() if kind == 'csv' else 'Parquet'}",
                _later(written, found),
                file_name=f"{job['id']}.{kind}",
                on_click="ignore",
            )


def measured(found: pd.DataFrame, columns: Mapping[str, Any]) -> pd.DataFrame:
    """Return the rows with numbers, and those that say why they have none.

    Skipped tensors, spectra made on the way and units that wait are under Units.
    """
    numbers = [name for name in columns if name in found]
    kept = found[found[numbers].notna().any(axis=1) | found["status"].isin(TOLD)]
    return kept.assign(layer=kept["layer"].fillna(kept["label"])) if "layer" in kept else kept


def _nothing(state: str) -> tuple[str, str]:
    """Return why there are no rows, and what to do."""
    if state == "FAILED":
        return "No results", "The job failed before a unit was finished. **Log** says how."
    if state in RESUMABLE:
        return "No results", "The job stopped before a unit was finished."
    if state == "DONE":
        return "No results", "Nothing was measured. **Units** gives the reason for each."
    return "No results yet", "Rows appear here as the units finish."


def _shared(found: pd.DataFrame, columns: Mapping[str, Any]) -> list[str]:
    """Return the columns that repeat one number of the whole model in each row."""
    whole = [name for name in columns if name.startswith("model_")]
    if whole and "threshold" in columns:
        whole = ["threshold", *whole]
    return [n for n in whole if _is_number(found, n) and found[n].nunique() == 1]


def _cards(found: pd.DataFrame, columns: list[Mapping[str, Any]]) -> None:
    """Draw the numbers of the whole model."""
    for start in range(0, len(columns), CARDS):
        row = columns[start : start + CARDS]
        for place, column in zip(st.columns(CARDS), row, strict=False):
            value = found[column["name"]].dropna().iloc[0]
            say = quantities.percent if column.get("kind") == "ratio" else quantities.digits
            title, _, whose = metric.title_of(column).partition(" (")
            about = ". ".join(text for text in (whose.rstrip(")"), column.get("help", "")) if text)
            place.metric(chart.plain(title), say(value), border=True, help=chart.plain(about))


def _in_order(found: pd.DataFrame, layers: list[str]) -> pd.DataFrame:
    """Return the rows in the model's order of layers; units finish in another."""
    place = {name: i for i, name in enumerate(layers)}

    def where(layer: str) -> int:
        return place.get(layer, place.get(str(layer).partition("[")[0], len(place)))

    name = "layer" if "layer" in found else "label"
    return found.sort_values(name, key=lambda column: column.map(where), kind="stable")


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
    about = f" {line['unit']}" if pd.notna(line["unit"]) and line["unit"] else ""
    return f"{at} {line['level']:<7}{about} {line['text']}"
