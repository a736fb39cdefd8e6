"""Jobs: launch an analysis, watch it, cancel or resume it, read what it found."""

import json
import time
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from app import connection, forms, quantities
from app.views.parts import chart, job_panel, permalink, running, states
from jobs.errors import JobError
from jobs.layers import matches
from jobs.params import parse_params

DEVICES = ("auto", "cpu", "cuda")
VIEWS = ("heads", "slices")  # parameters that ask for parts of layers


def page() -> None:
    """Draw the launch form, the active jobs, the list of all and the chosen one."""
    client = connection.client()
    catalog, models = client.catalog(), client.store.models()
    states.broken(catalog["broken"])
    if models.empty:
        states.empty("No model yet", "Add one on **Models**; then an analysis can be launched.")
        return
    _launch(client, catalog["analyses"], models)
    running.banner(client, cancel=client.can_run)
    jobs = client.store.jobs()
    chart.heading("All jobs", "The newest first. Choose one for its log and its results.")
    if jobs.empty:
        states.empty("No job yet", "Launch one above: spectra come first, the rest builds on them.")
        return
    _list(jobs)
    chosen = permalink.choice(
        "Job", list(jobs["id"]), "job", always=True, format_func=_names(jobs).__getitem__
    )
    job_panel.draw(client, catalog["analyses"], jobs[jobs["id"] == chosen].iloc[0].to_dict())


def _launch(client: Any, analyses: Mapping[str, Any], models: pd.DataFrame) -> None:
    """Draw the form made from the analysis' declaration, and the work it would be."""
    if not client.can_run:
        st.info("This server is browse only: restart it without `--no-ray` to launch jobs.")
        return
    with st.container(border=True):
        chart.heading("Launch an analysis", "What is stored already is not computed again.")
        columns = st.columns([2.4, 2.4, 2, 1.2])
        with columns[0]:
            model = permalink.choice("Model", list(models["name"]), "model", always=True)
        with columns[1]:
            analysis = permalink.choice(
                "Analysis", list(analyses), "analysis",
                format_func=lambda name: analyses[name]["title"],
            )  # fmt: skip
        with columns[2]:
            layers = permalink.words(
                "Layers", "glob", "*", help="Names with * and ?, such as blocks.3.*"
            )
        with columns[3]:
            device = permalink.choice("Device", list(DEVICES), "device")
        st.caption(chart.plain(analyses[analysis].get("summary", "")))
        params = forms.parameters(analyses[analysis]["params"], analysis)
        _submit(client, analyses[analysis], model, params, layers or "*", device)


def _submit(
    client: Any, declared: Mapping[str, Any], model: str, params: Mapping[str, Any], layers: str,
    device: str,
) -> None:  # fmt: skip
    views = any(params.get(name) for name in VIEWS)
    words, possible = _predicted(client.store.tensors(model), declared, layers, views=views)
    button, said = st.columns([1, 5], vertical_alignment="center")
    said.caption(chart.plain(words))
    if button.button("Launch", type="primary", disabled=not possible, width="stretch"):
        try:
            same = _active_twin(client, declared, model, params, layers)
            if same:
                st.info(chart.plain(f"Already running as {same}: its progress is below."))
                return
            job = client.submit(model, declared["name"], dict(params), layers, device)
        except JobError as error:
            states.failed(states.short(str(error)))
            return
        st.query_params["job"] = job
        st.rerun()


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


def _predicted(
    tensors: pd.DataFrame, declared: Mapping[str, Any], layers: str, *, views: bool
) -> tuple[str, bool]:
    """Return how much work a launch would be, in words, and whether it is any.

    With `views` the names of heads and slices count too; only the job knows those.
    """
    matrices = tensors[tensors["state"] == "matrix"]
    matched = matrices[[matches(name, layers) for name in matrices["layer"].astype(str)]]
    if matrices.empty:
        return "This model has no weight matrix to analyse.", False
    if matched.empty and views:
        return f"The heads or slices named {layers}, if the model has them.", True
    if matched.empty:
        return f"No layer is named {layers}: see the names on Models.", False
    work = quantities.count(matched["parameters"].sum())
    what = f"{len(matched)} of {len(matrices)} matrices, {work} entries"
    if declared["unit"] == "spectra":
        return (
            f"Reads the stored spectra of {what}; those that are missing are computed first.",
            True,
        )
    return f"{what}: one decomposition each, fewer where views or results are shared.", True


def _list(jobs: pd.DataFrame) -> None:
    ids = list(jobs["id"])

    def picked() -> None:
        rows = st.session_state["jobs"]["selection"]["rows"]
        if rows:
            st.session_state["job"] = ids[rows[0]]

    st.dataframe(
        pd.DataFrame({
            "job": jobs["id"],
            "model": jobs["model"],
            "analysis": jobs["analysis"],
            "layers": jobs["layers"],
            "state": jobs["state"].str.lower(),
            "done": jobs["done"] + jobs["skipped"],
            "failed": jobs["failed"],
            "of": jobs["total"],
            "launched": [quantities.ago(time.time() - at) for at in jobs["created"]],
            "took": [job_panel.took(row) for row in jobs.to_dict("records")],
            "message": [states.short(text) for text in jobs["message"].fillna("")],
        }),
        key="jobs",
        hide_index=True,
        on_select=picked,
        selection_mode="single-row",
        height=min(36 * (len(jobs) + 1), 290),
        placeholder="",
        alt="Every job with its state",
    )  # fmt: skip


def _names(jobs: pd.DataFrame) -> dict[str, str]:
    # Without the state: the browser keeps the words of the line that was chosen.
    return {
        row["id"]: f"{row['id']} · {row['analysis']} of {row['model']}"
        for row in jobs.to_dict("records")
    }


page()
