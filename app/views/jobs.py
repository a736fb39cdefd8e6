"""Jobs: what waits, runs and has ended; cancel it, resume it, read its units and its log."""

import time

import pandas as pd
import streamlit as st

from app import connection, quantities
from app.views.parts import chart, job_panel, permalink, running, states
from jobs import job_names


def page() -> None:
    """Draw the active jobs, the list of all and the chosen one."""
    client = connection.client()
    catalog = client.catalog()
    states.broken(catalog["broken"])
    running.banner(client, cancel=client.can_run)
    jobs = client.store.jobs()
    chart.heading("All jobs", "The newest first. Choose one for its log and its results.")
    if jobs.empty:
        states.empty(
            "No job yet", "Launch one on **Analyses**: spectra come first, the rest builds on them."
        )
        return
    _list(jobs)
    chosen = permalink.choice(
        "Job", list(jobs["id"]), "job", always=True, format_func=_names(jobs).__getitem__
    )
    job_panel.draw(client, catalog["analyses"], jobs[jobs["id"] == chosen].iloc[0].to_dict())


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
    return {row["id"]: f"{row['id']} · {job_names.of(row)}" for row in jobs.to_dict("records")}


page()
