"""Tables of a report: what of a job's rows a person reads, and how a cell is written."""

import datetime
import json
from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd

from app import quantities, trials
from app.plots import metric
from app.reports import drawn
from app.reports.model import Asked, Table
from app.reports.names import counted
from app.reports.views import trial
from app.shown import Shown, is_number, numeric, without_idle

LARGE = 1e6  # from here on in millions
FEW = 5  # columns of numbers beside a row's name
NAMES = ("label", "layer", "head", "block")
OWN = {"label": "Layer", "status": "State", "message": "Why"}
TRIALS = {
    "asked": "asked, %",
    "linears": "linear layers kept, %",
    "model": "whole model kept, %",
    "error": "held-out layer error",
    "speed": "speed, × dense",
}


def of_job(shown: Shown) -> list[Table]:
    """Return the job's rows, every column; of trials what is read of each before that."""
    if shown.rows.empty:
        return []
    title = str(shown.declared.get("title") or shown.job["analysis"])
    full = without_idle(shown.rows).reset_index(drop=True)
    if shown.declared.get("view") != "trial":
        return [Table(title, "", full, _read(shown, full))]
    done = trial.finished(shown)
    if done.empty:
        return [Table(title, "", full, _read(shown, full))]
    summary = trials.summary(done).reset_index(drop=True)
    said = "Each with its paired 95 % interval; positive is worse than the dense model."
    headings = {str(name): TRIALS.get(str(name), str(name)) for name in summary}
    return [
        Table("Trials", said, summary, headings),
        Table("Trials, every column", "", done.reset_index(drop=True), {}),
    ]


def _read(shown: Shown, full: pd.DataFrame) -> dict[str, str]:
    """Return the columns that are shown, with their headings; a reason for what has no number."""
    chosen = [name for name in drawn.columns(shown) if name in full]
    if not chosen:
        chosen = [name for name in NAMES if name in full][:2]
        chosen += [n for n in numeric(shown) if n not in chosen and n in full][:FEW]
    chosen += [name for name in ("status", "message") if name in full and _says(full[name])]
    declared = shown.columns
    titles = {n: metric.title_of(declared[n]) if n in declared else n for n in chosen}
    return {n: OWN.get(n, titles[n]) for n in chosen if full[n].notna().any()}


def _says(column: pd.Series) -> bool:
    return bool((~column.fillna("").isin(["", "done"])).any())


def cell(value: Any) -> str:
    """Return a cell as a person reads it: three digits, a dash for nothing, lists as a count."""
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple, np.ndarray)):
        return f"{len(value)} numbers"
    if not quantities.known(value):
        return quantities.NOT_KNOWN
    return quantities.count(value) if abs(value) >= LARGE else quantities.digits(value)


def is_right(table: Table, name: str) -> bool:
    """Return whether a column holds numbers, which stand under each other by their ends."""
    return is_number(table.frame, name)


def rows(table: Table, most: int) -> list[list[str]]:
    """Return the cells that are shown of the first rows."""
    shown = table.frame[list(table.shown)].head(most)
    return [[cell(value) for value in row] for row in shown.itertuples(index=False, name=None)]


def extent(table: Table, most: int) -> str:
    """Return how much of a table is shown, and where the rest is."""
    rows, columns = table.frame.shape
    said = counted(rows, "row") if rows <= most else f"The first {most} of {rows} rows"
    if columns > len(table.shown):
        said += f", {len(table.shown)} of {columns} columns"
    if rows <= most and columns == len(table.shown):
        return f"{said}."
    return f"{said}: all are in the tables of the report's zip."


def as_csv(frame: pd.DataFrame) -> bytes:
    """Return comma-separated text; lists as JSON, so that they can be read back."""
    flat = {str(name): frame[name].map(_flat) for name in _lists(frame)}
    return frame.assign(**flat).to_csv(index=False, lineterminator="\n").encode()


def as_parquet(frame: pd.DataFrame) -> bytes:
    """Return the table as a Parquet file, lists as lists."""
    held = BytesIO()
    frame.to_parquet(held, index=False)
    return held.getvalue()


def moment(seconds: Any) -> str:
    """Return a time as date, minute and zone of this machine."""
    if not quantities.known(seconds):
        return quantities.NOT_KNOWN
    at = datetime.datetime.fromtimestamp(seconds).astimezone()
    return f"{at:%Y-%m-%d %H:%M %Z}"


def settings(asked: Mapping[str, Any], declared: Iterable[Mapping[str, Any]]) -> list[Asked]:
    """Return what a job was asked, by parameter."""
    about = {str(field["name"]): str(field.get("help") or "") for field in declared}
    return [Asked(name, _setting(value), about.get(name, "")) for name, value in asked.items()]


def _setting(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not set" if value is None else str(_flat(value))


def _lists(frame: pd.DataFrame) -> list[Any]:
    """Return the columns in which some row has a list."""
    there = [name for name in frame if frame[name].dtype == object]
    return [n for n in there if any(isinstance(v, (list, np.ndarray)) for v in frame[n])]


def _flat(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value
