"""Analyses: choose one, see what it would take, launch it, watch it, read it in its own view."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from app import connection, quantities
from app.views.parts import chart, job_panel, launch, permalink, running, states
from app.views.parts.results import draw as draw_results

FIRST = ("spectrum", "welore", "entanglement", "attention_entanglement", "hessian_rank",
         "stable_rank", "stable_rank_training", "tensorlens")  # fmt: skip
ELSEWHERE = ("trial", "export")  # which are launched on Compression
JOBS_PAGE = "views/jobs.py"


def page() -> None:
    """Draw the form of the chosen analysis, and the newest job of it."""
    client = connection.client()
    catalog, models = client.catalog(), client.store.models()
    states.broken(catalog["broken"])
    if models.empty:
        states.empty("No model yet", "Add one on **Models**; then an analysis can be launched.")
        return
    declared = _chosen(catalog["analyses"])
    with st.container(border=True):
        model = launch.form(client, declared, models)
    if model is not None:
        _found(client, declared, model)


def _chosen(analyses: Mapping[str, Any]) -> Mapping[str, Any]:
    """Ask for the analysis; say in a sentence what it does."""
    names = [n for n in analyses if not (n in ELSEWHERE and analyses[n]["unit"] == "stages")]
    names.sort(key=lambda n: (FIRST.index(n) if n in FIRST else len(FIRST), n))
    left, right = st.columns([1, 1.6], vertical_alignment="bottom")
    with left:
        name = permalink.choice(
            "Analysis", names, "analysis", format_func=lambda n: analyses[n]["title"]
        )
    declared: Mapping[str, Any] = analyses[name]
    with right, st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(chart.plain(declared.get("summary", "")))
        if declared.get("doc"):
            with st.popover("", icon=":material/info:", type="tertiary", help="How it is computed"):
                st.markdown(_linked(declared["doc"]))
    return declared


def _linked(doc: str) -> str:
    """Return a module's text as markdown: only its addresses become links."""
    words = [word if word.startswith("https://") else chart.plain(word) for word in doc.split(" ")]
    return " ".join(words)


def _found(client: Any, declared: Mapping[str, Any], model: str) -> None:
    """Draw the chosen job of this analysis and model: how it stands, and its view."""
    running.banner(client, model, cancel=client.can_run)
    jobs = client.store.jobs()
    own = jobs[(jobs["analysis"] == declared["name"]) & (jobs["model"] == model)]
    if own.empty:
        states.empty("Nothing found yet", "Launch it above; what it finds is drawn here.")
        return
    left, right = st.columns([2.4, 3], vertical_alignment="bottom")
    with left:
        chosen = permalink.choice(
            "Result of job", list(own["id"]), "job", always=True, quiet=True,
            format_func=_names(own).__getitem__,
        )  # fmt: skip
    job = own[own["id"] == chosen].iloc[0].to_dict()
    with right:
        st.page_link(JOBS_PAGE, label="Units and log on Jobs", query_params={"job": chosen})
    job_panel.state(client, job)
    draw_results(client, declared, job)


def _names(jobs: pd.DataFrame) -> dict[str, str]:
    return {
        row["id"]: " · ".join([row["id"], f"layers {row['layers']}", _when(row)])
        for row in jobs.to_dict("records")
    }


def _when(row: Mapping[str, Any]) -> str:
    """Return when a job was launched; not how long ago, which would change the option's words."""
    return quantities.clock(row["created"])


page()
