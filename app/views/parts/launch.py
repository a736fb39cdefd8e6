"""The form that launches an analysis: its parameters, the work it would be, the button."""

import json
import time
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from app import forms, quantities
from app.views.parts import chart, permalink, running, states
from jobs.errors import JobError
from jobs.params import parse_params
from jobs.states import DEVICES

TRAINING, SERIES = "training", "series"
PREDICTED = "predicted work"
REFUSAL = 300  # letters of a refusal that are seen; one lists every layer
FRESH = 15.0  # seconds; free memory changes
TRAINS = "sample"  # what a training job is filed under: its text and recipe are the sample's


def form(client: Any, declared: Mapping[str, Any], models: pd.DataFrame) -> str | None:
    """Draw the form of one analysis; return the model that is chosen, None where none does."""
    unit = declared["unit"]
    model, layers, device = _subject(unit, models, by_layer=declared.get("by_layer", True))
    if model is None:
        states.empty(
            "No folder of checkpoints here",
            "This analysis follows a training run: add its folder on **Models**.",
        )
        return None
    if not client.can_run:
        st.info("This server is browse only: restart it without `--no-ray` to launch jobs.")
        return model
    params = forms.parameters(declared["params"], declared["name"])
    offer(client, declared, model, params, layers, device)
    return model


def _subject(unit: str, models: pd.DataFrame, *, by_layer: bool) -> tuple[str | None, str, str]:
    """Ask what the analysis is to work on: model, layers where it takes some, and device."""
    if unit == TRAINING:
        st.caption("Trains a small model of its own on the bundled text: there is none to choose.")
        return TRAINS, "*", permalink.choice("Device", list(DEVICES), "device")
    fitting = models[models["kind"] == "series"] if unit == SERIES else models
    if fitting.empty:
        return None, "*", DEVICES[0]
    columns = st.columns([3, 2.4, 1.4])
    with columns[0]:
        key = "series" if unit == SERIES else "model"
        model = permalink.choice("Model", list(fitting["name"]), key, always=True)
    layers = "*"
    with columns[1]:
        if by_layer:
            layers = permalink.words(
                "Layers", "glob", "*",
                help="Names with * and ?, such as blocks.3.*; several by commas",
            )  # fmt: skip
    with columns[2]:
        device = permalink.choice("Device", list(DEVICES), "device")
    return model, layers or "*", device


def offer(
    client: Any, declared: Mapping[str, Any], model: str, params: Mapping[str, Any], layers: str,
    device: str,
) -> None:  # fmt: skip
    """Say what a launch would take, and draw the button that submits it."""
    button, said = st.columns([1, 5], vertical_alignment="center")
    with said, st.spinner("Working out what it would take"):  # the first one starts a process
        words, possible = _predicted(client, declared["name"], model, params, layers)
    said.caption(chart.plain(words))
    if not button.button("Launch", type="primary", disabled=not possible, width="stretch"):
        return
    try:
        same = _active_twin(client, declared, model, params, layers)
        if same:
            st.info(chart.plain(f"Already running as {same}: its progress is below."))
            return
        job = client.submit(
            model, declared["name"], dict(params), layers, device, restrict_to_roots=True
        )
    except JobError as error:
        states.failed(states.short(str(error)))
        return
    st.query_params["job"] = job
    st.rerun()


def _predicted(
    client: Any, analysis: str, model: str, params: Mapping[str, Any], layers: str
) -> tuple[str, bool]:
    """Return how much work a launch would be, in words, and whether it can be done."""
    try:
        found = _asked(client, analysis, model, params, layers)
    except JobError as error:
        return states.short(str(error)), False
    if found["refused"]:
        return states.short(str(found["refused"]), REFUSAL), False
    return work_words(found), True


def _asked(
    client: Any, analysis: str, model: str, params: Mapping[str, Any], layers: str
) -> Mapping[str, Any]:
    """Return the prediction; for a while the last one, for the page is drawn anew ever so often."""
    asked = (model, analysis, json.dumps(dict(params), sort_keys=True, default=str), layers)
    held = st.session_state.get(PREDICTED)
    if held and held[0] == asked and time.monotonic() - held[1] < FRESH:
        kept: Mapping[str, Any] = held[2]
        return kept
    found: Mapping[str, Any] = client.predict(
        model, analysis, dict(params), layers, restrict_to_roots=True
    )
    st.session_state[PREDICTED] = (asked, time.monotonic(), found)
    return found


def work_words(found: Mapping[str, Any]) -> str:
    """Return a prediction as one line: what, how long, how much memory."""
    parts = [str(found["words"]).rstrip(".")]
    if quantities.known(found.get("seconds")):
        parts.append(f"about {quantities.duration(found['seconds'])} on two cores")
    if found.get("bytes"):
        parts.append(f"{quantities.size(found['bytes'])} of memory")
    return " · ".join(parts)


def _active_twin(
    client: Any, declared: Mapping[str, Any], model: str, params: Mapping[str, Any], layers: str
) -> str | None:
    """Return the id of a job that waits or runs and was asked for the very same, or None."""
    wanted = _checked(declared, params)
    active = running.active(client.store.jobs(), model)
    alike = active[(active["analysis"] == declared["name"]) & (active["layers"] == layers)]
    for job in alike.to_dict("records"):
        if _checked(declared, _given(json.loads(job["params"] or "{}"))) == wanted:
            return str(job["id"])
    return None


def _checked(declared: Mapping[str, Any], params: Mapping[str, Any]) -> Any:
    """Return parameters as the store keeps them, defaults filled in."""
    return json.loads(json.dumps(_given(parse_params(declared, params))))


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}
