"""What goes into a report: jobs, trials, the trade-offs, and figures that are left out."""

import json
from typing import Any

import pandas as pd
import streamlit as st

from app import quantities, trials
from app.reports.build import Wanted, newest
from app.reports.model import Report, figure_names
from app.views.parts import permalink


def wanted(client: Any, model: str, jobs: pd.DataFrame) -> Wanted:
    """Ask which jobs and trials; at first the newest finished job of each analysis."""
    titles = {n: one["title"] for n, one in client.catalog()["analyses"].items()}
    names = {row["id"]: _named(row, titles) for row in jobs.to_dict("records")}
    first = [job["id"] for job in newest(client, model)]
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    with left:
        chosen = permalink.choices(
            "Jobs", list(names), "report_jobs", first, format_func=names.__getitem__
        )
    with right:
        tradeoffs = permalink.switch(
            "Rank trade-offs", "report_tradeoffs", default=True,
            help="What any size would hold and lose, from what is stored.",
        )  # fmt: skip
    of_trials = jobs[jobs["id"].isin(chosen) & jobs["analysis"].eq("trial")]
    labels = _trials(client, model, list(of_trials["id"])) if len(of_trials) else ()
    return Wanted(tuple(chosen), labels, tradeoffs)


def left_out(report: Report) -> list[str]:
    """Ask which figures are left out; none at first."""
    titles = {
        name: f"{section.title} · {figure.title}"
        for section in report.sections
        for name, figure in zip(figure_names(section), section.figures, strict=True)
    }
    if not titles:
        return []
    return permalink.choices(
        "Figures to leave out", list(titles), "report_without", placeholder="none",
        format_func=titles.__getitem__,
    )  # fmt: skip


def _named(row: dict[Any, Any], titles: dict[str, str]) -> str:
    title = titles.get(row["analysis"], row["analysis"])
    asked = json.loads(row["params"] or "{}")
    words = [title, row["state"].lower(), quantities.clock(row["created"])]
    if row["analysis"] == "trial":
        words.insert(1, str(asked.get("methods") or ""))
    return " · ".join(word for word in words if word)


def _trials(client: Any, model: str, jobs: list[str]) -> tuple[str, ...]:
    """Ask which of the jobs' trials; () for all of them."""
    found = trials.finished(trials.of_model(client, model))
    labels = list(dict.fromkeys(found.loc[found["job"].isin(jobs), "label"].astype(str)))
    if len(labels) < 2:
        return ()
    return tuple(permalink.choices("Trials", labels, "report_trials", placeholder="all of them"))
