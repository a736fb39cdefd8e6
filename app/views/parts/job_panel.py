"""One job: how it stands, what it found, its log, and the buttons that act on it."""

import datetime
import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from app import quantities
from app.views.parts import chart, states
from app.views.parts.results import draw as draw_results
from jobs import again
from jobs.errors import JobError
from jobs.states import RESUMABLE

UNIT_COLUMNS = ("label", "state", "message", "seconds", "device")


def draw(client: Any, analyses: Mapping[str, Any], job: Mapping[str, Any]) -> None:
    """Draw the chosen job."""
    state(client, job)
    results, units, log = st.tabs(["Results", "Units", "Log"])
    with results:
        draw_results(client, analyses.get(job["analysis"], {}), job)
    with units:
        found = client.store.units(job["id"])
        st.dataframe(
            found[[n for n in UNIT_COLUMNS if n in found]], hide_index=True, placeholder=""
        )
    with log:
        lines = client.store.log_lines(job["id"])
        st.code("\n".join(_line(line) for line in lines.to_dict("records")) or "nothing yet", None)


def state(client: Any, job: Mapping[str, Any]) -> None:
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
    if resumable and job["state"] == "FAILED" and again.in_vain(list(failed["message"])):
        resumable = False
        st.caption(again.ADVICE)
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


def _line(line: Mapping[str, Any]) -> str:
    at = datetime.datetime.fromtimestamp(line["at"]).strftime("%H:%M:%S")
    about = f" {line['unit']}" if pd.notna(line["unit"]) and line["unit"] else ""
    return f"{at} {line['level']:<7}{about} {line['text']}"
