"""A job as a section of a report: what was asked, its figures and tables, and what is missing."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from app import quantities
from app.plots.metric import title_of
from app.reports import drawn, tables, versions
from app.reports.model import Fact, Section
from app.shown import Shown
from jobs.errors import JobError

TELLING = ("warnings", "warning", "note", "remark")  # columns that say how to take a row
MOST_NAMED = 4  # layers in one sentence


def of_job(
    client: Any,
    declared: Mapping[str, Any],
    job: Mapping[str, Any],
    trials: Collection[str] = (),
) -> Section:
    """Return a job's section; `trials` are the labels of those that are wanted, () for all."""
    shown = Shown.of(client, declared, job)
    if trials and declared.get("view") == "trial":
        shown = replace(shown, rows=shown.rows[shown.rows["label"].isin(trials)])
    units = client.store.units(job["id"])
    left_out = _left_out(units)
    try:
        figures = tuple(drawn.figures(shown))
    except JobError as error:  # the file of an array is gone
        figures, left_out = (), (f"The figures: {error}.", *left_out)
    return Section(
        title=str(declared.get("title") or job["analysis"]),
        sentence=_sentence(declared),
        key=str(job["id"]),
        facts=_facts(client, job, units),
        asked=tuple(tables.settings(json.loads(job["params"] or "{}"), declared.get("params", []))),
        figures=figures,
        tables=tuple(tables.of_job(shown)),
        warnings=(*_state(job), *_told(shown)),
        left_out=left_out,
    )


def _sentence(declared: Mapping[str, Any]) -> str:
    """Return what the analysis finds: what its text begins with after its name."""
    if not declared:
        return "This analysis is no longer part of Rankscope."
    title, colon, said = str(declared.get("doc") or "").partition("\n")[0].partition(": ")
    if not colon:
        return title or str(declared.get("summary") or "")
    return said[:1].upper() + said[1:]


def _facts(client: Any, job: Mapping[str, Any], units: pd.DataFrame) -> tuple[Fact, ...]:
    stored = client.store.records(list(units["unit"].dropna().unique()))
    devices = sorted(set(stored["device"].dropna())) or [str(job["device"])]
    facts = {
        "Job": f"{job['id']}, {job['state'].lower()}",
        "Layers": "all" if job["layers"] == "*" else str(job["layers"]),
        "Started": tables.moment(job["started"]),
        "Finished": tables.moment(job["finished"]),
        "Device": ", ".join(devices),
        "Computed with": versions.of_units(stored["versions"].dropna()) or quantities.NOT_KNOWN,
        "Contents (sha256)": contents(stored),
    }
    return tuple(Fact(name, value) for name, value in facts.items())


def contents(stored: pd.DataFrame) -> str:
    """Return one hash over the bytes that were measured: of the units' inputs, in their order."""
    if stored.empty:
        return quantities.NOT_KNOWN
    inputs = sorted(str(text) for text in stored["inputs"])
    return hashlib.sha256("\n".join(inputs).encode()).hexdigest()


def _state(job: Mapping[str, Any]) -> tuple[str, ...]:
    if job["state"] == "DONE":
        return ()
    message = str(job["message"] or "").strip()
    said = f"This job is {job['state'].lower()}: what it had finished is shown."
    return (f"{said} {message}",) if message else (said,)


def _told(shown: Shown) -> tuple[str, ...]:
    """Return what rows say about themselves, each sentence once, with how many say so."""
    rows, said = shown.rows, []
    for name in (name for name in TELLING if name in rows):
        lines = rows[name].dropna().astype(str).str.split("\n").explode().str.strip()
        counted = lines[lines.ne("")].value_counts(sort=False)
        title = title_of(shown.columns.get(name, {"name": name}))
        said += [
            f"{title}: {words} ({count} of {len(rows)} rows)" for words, count in counted.items()
        ]
    return tuple(said)


def _left_out(units: pd.DataFrame) -> tuple[str, ...]:
    """Return each reason for which units have no numbers, with their names."""
    without = units[units["state"].ne("done")]
    said = []
    for (state, message), found in without.groupby(["state", "message"], sort=False):
        names = list(found["label"].astype(str))
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        listed = ", ".join(names[:MOST_NAMED]) + more
        said.append(f"{listed}: {state}" + (f", {message}" if message else ""))
    return tuple(said)
