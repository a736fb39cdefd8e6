"""Compression: launch a trial or a sweep, see what size costs, open a trial, take the model."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from app import connection
from app import trials as found
from app.first_light import SAMPLE
from app.views.parts import chart, job_panel, permalink, running, states
from app.views.parts.trials import carried, disk, figures, form, methods, table, view
from jobs.errors import JobError
from jobs.states import RESUMABLE

STARTER = {"methods": "svd, whitened_svd", "kept": "0.9, 0.8, 0.6"}


def page() -> None:
    """Draw the open trial, or the form with everything that was found."""
    client = connection.client()
    models = client.store.models()
    if models.empty:
        states.empty("No model yet", "Add one on **Models**: a folder, a file or a hub id.")
        return
    arrived = carried.take()
    left, right = st.columns([1, 1.6])
    with left:
        model = permalink.choice("Model", list(models["name"]), "model", always=True)
    trials = found.of_model(client, model)
    with right:
        chosen = _trial(trials)
    running.banner(client, model, cancel=client.can_run)
    catalog = client.catalog()
    if chosen:
        row = trials[trials["unit"].eq(chosen)].iloc[0].to_dict()
        view.draw(client, catalog, row)
        return
    _all(client, catalog, model, trials, arrived=arrived)


def _trial(trials: pd.DataFrame) -> str:
    """Ask which trial is open; none is the first option."""
    names = {"": "all trials", **found.names(trials)}
    asked = st.query_params.get(figures.OPEN)
    chosen = permalink.choice("Trial", list(names), figures.OPEN, format_func=names.__getitem__)
    if asked and asked not in names:
        st.warning(chart.plain(f"This model has no trial {asked}: showing all."))
    return chosen


def _all(
    client: Any, catalog: Mapping[str, Any], model: str, trials: pd.DataFrame, *, arrived: bool
) -> None:
    """Draw the form, how the newest job stands, both figures, the table and the disk."""
    with st.expander("Launch a trial or a sweep", expanded=arrived or trials.empty):
        form.draw(client, catalog, model, _kind(client, model))
        with st.popover("Methods and papers", type="tertiary"):
            st.markdown(methods.about(methods.known(catalog)))
    _stopped(client, model)
    if trials.empty:
        _nothing(client, model)
        return
    done = found.finished(trials)
    if not done.empty:
        figures.draw(done)
    held = client.disk()
    table.draw(trials, held, methods.known(catalog))
    disk.draw(client, held)


def _kind(client: Any, model: str) -> str:
    """Return what a model is as files: "transformers", "adapter", ..."""
    models = client.store.models()
    return str(models.loc[models["name"] == model, "kind"].iloc[0])


def _stopped(client: Any, model: str) -> None:
    """Say how the newest job of trials ended where it did not finish, with its button to resume."""
    jobs = client.store.jobs()
    own = jobs[(jobs["model"] == model) & jobs["analysis"].isin(("trial", "export"))]
    if own.empty or own["state"].iloc[0] not in RESUMABLE:  # the newest is the first
        return
    with st.container(border=True):
        job_panel.state(client, own.iloc[0].to_dict())


def _nothing(client: Any, model: str) -> None:
    if not running.active(client.store.jobs(), model).empty:
        states.empty("The first trial is on its way", "The figures fill as trials end.")
        return
    starts = client.can_run and SAMPLE in set(client.store.models()["name"])
    states.empty(
        f"No trial of {model} yet",
        "Choose methods and sizes above."
        + (" Or start with two methods at three sizes on the sample model." if starts else ""),
    )
    if starts and st.button("Launch a starter sweep on the sample", type="primary"):
        try:
            client.submit(SAMPLE, "trial", dict(STARTER), restrict_to_roots=True)
        except JobError as error:
            states.failed(str(error))
            return
        st.query_params["model"] = SAMPLE
        st.rerun()


page()
