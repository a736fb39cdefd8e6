"""One trial: its numbers beside the dense model's, its layers, its text, its files."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app import quantities
from app.about.trial import ABOUT_RECOVERY
from app.plots import recovery, trial_words
from app.views.parts import chart, states
from app.views.parts.trials import cards, disk, downloads, layers, methods
from app.views.parts.trials.figures import OPEN

JOBS_PAGE, COMPARE_PAGE = "views/jobs.py", "views/compare.py"


def draw(client: Any, catalog: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    """Draw the trial of one row of the store."""
    known = methods.known(catalog)
    method = str(row["method"] if isinstance(row["method"], str) else row["label"])
    sources = trial_words.sources([row]) if row["state"] == "done" else ""
    about = methods.paper_of(known, method.partition(",")[0])
    chart.heading(f"Trial {row['trial']} · {row['label']}", sources, about)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("All trials", icon=":material/arrow_back:", on_click=_close)
        st.page_link(JOBS_PAGE, label="Its job on Jobs", query_params={"job": str(row["job"])})
        if row["state"] == "done":
            asked = {"kind": "trials", "trials": str(row["unit"])}
            st.page_link(COMPARE_PAGE, label="Compare with another trial", query_params=asked)
    if row["state"] != "done":
        _failed(row)
        return
    _measured(client, row, is_update=methods.is_update(known, method))


def _close() -> None:
    st.session_state[OPEN] = ""


def _failed(row: Mapping[str, Any]) -> None:
    states.failed(str(row["message"]) or "This trial failed and did not say why.")
    st.caption(
        "No number of a failed trial is kept: nothing is left out to get one. The log of its job "
        "has the rest."
    )


def _measured(client: Any, row: Mapping[str, Any], *, is_update: bool) -> None:
    for line in str(row["notes"] or "").splitlines():
        st.caption(chart.plain(line))
    for line in str(row["warnings"] or "").splitlines():
        if line.strip():
            st.warning(chart.plain(line), icon=":material/warning:")
    cards.draw(row)
    layers.draw(row)
    _recovery(row)
    _samples(row)
    downloads.draw(client, row, is_update=is_update)
    _held(client, row)
    with st.expander("Settings and record"):
        st.json(_record(row), expanded=2)


def _recovery(row: Mapping[str, Any]) -> None:
    figure = recovery.draw(_numbers(row["losses"]), _numbers(row["control_losses"]))
    if figure is None:
        return
    said = figure.caption
    if quantities.known(row["control"]):
        said += f" On the evaluation text the control scores {row['control']:.3f}."
    chart.heading(figure.title, said, ABOUT_RECOVERY)
    chart.draw(figure, "recovery", height=300)


def _numbers(values: Any) -> np.ndarray:
    return np.asarray([] if values is None else values, dtype=float)


def _samples(row: Mapping[str, Any]) -> None:
    if not (row["sample"] or row["dense_sample"]):
        return
    chart.heading("What it writes", "The most likely continuation of one prompt, token by token.")
    st.code(str(row["prompt"]), language=None)
    whole = trial_words.beside([row]).the.removeprefix("the ").capitalize()
    for place, name, text in zip(
        st.columns(2), ("This trial", whole), (row["sample"], row["dense_sample"]), strict=True
    ):
        with place, st.container(border=True, height="stretch"):
            st.caption(name)
            st.text(str(text))


def _held(client: Any, row: Mapping[str, Any]) -> None:
    """Say what this trial has on disk, and offer to free it."""
    held: pd.DataFrame = client.disk()
    own = disk.of_trial(held, str(row["unit"]))
    if own.empty:
        st.caption("It has no weights on disk: they are made again when a form is asked for.")
        return
    size = quantities.size(own["bytes"].sum())
    left, right = st.columns([1, 3.4], vertical_alignment="center")
    what = "weights and exports" if own["trial"].ne("").any() else "weights"
    right.caption(
        f"It holds {size} of {what} on disk; what is freed is made again when it is asked for."
    )
    if left.button(f"Free {size}", width="stretch"):
        disk.free(client, list(own["key"]))


def _record(row: Mapping[str, Any]) -> Any:
    try:
        return json.loads(row["record"] or "{}")
    except ValueError:
        return {"record": row["record"]}
