"""Jobs that are active: one fragment asks for their progress, and only while there is one."""

import time
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from app import quantities
from app.views.parts import chart
from jobs import job_names
from jobs.errors import JobError
from jobs.states import ACTIVE as ACTIVE

EVERY = 1.0  # seconds between two looks at the store
REDRAW = 3.0  # seconds after which new results are worth a new page


def active(jobs: pd.DataFrame, model: str | None = None) -> pd.DataFrame:
    """Return the jobs that wait or run, of one model or of all."""
    found = jobs[jobs["state"].isin(ACTIVE)]
    return found if model is None else found[found["model"] == model]


def banner(client: Any, model: str | None = None, *, cancel: bool = False) -> None:
    """Show progress while a job is active.

    The whole page is drawn anew when a job ends, and every few seconds while units finish.
    """
    found = active(client.store.jobs(), model)
    if found.empty:
        return
    shown, drawn = frozenset(found["id"]), time.monotonic()
    finished = _finished(client, found)

    @st.fragment(run_every=EVERY)
    def progress() -> None:
        try:
            now = active(client.store.jobs(), model)
        except JobError as error:  # the store restarts: the next look finds it again
            st.caption(chart.plain(str(error)))
            return
        for job in now.to_dict("records"):
            _bar(client, job, cancel=cancel)
        newer = _finished(client, now) != finished and time.monotonic() - drawn > REDRAW
        if newer or frozenset(now["id"]) != shown:
            st.rerun()

    progress()


def _finished(client: Any, jobs: pd.DataFrame) -> float:
    """Return a number that grows as units finish, and as parts of one do."""
    parts = sum(_part(client, job)["done"] for job in jobs.to_dict("records"))
    return float(jobs[["done", "failed", "skipped"]].to_numpy().sum()) + parts


def _part(client: Any, job: Mapping[str, Any]) -> dict[str, Any]:
    """Return how far the one unit of a job is: done, total and words."""
    nothing = {"done": 0, "total": 0, "words": ""}
    if job["state"] != "RUNNING" or job["total"] != 1:
        return nothing
    found = client.store.progress(job["id"])
    return nothing if found.empty else dict(found.iloc[0])


def _bar(client: Any, job: Mapping[str, Any], *, cancel: bool) -> None:
    part = _part(client, job)
    done = job["done"] + job["failed"] + job["skipped"]
    share = done / job["total"] if job["total"] else 0.0
    said = progress_words(job)
    if part["total"]:
        share, said = part["done"] / part["total"], part_words(job, part)
    share = min(share, 1.0)
    about = f"{job_names.of(job)} · {said}"
    words = chart.plain(f"{about} · layers {job['layers']} · job {job['id']}")
    if not cancel:
        st.progress(share, text=words)
        return
    bar, button = st.columns([6, 1], vertical_alignment="bottom")
    bar.progress(share, text=words)
    if button.button("Cancel", key=f"cancel-{job['id']}", width="stretch"):
        try:
            client.cancel(job["id"])
        except JobError as error:  # it ended while the pointer was on its way
            st.toast(chart.plain(str(error)))
        else:
            st.rerun(scope="fragment")


def progress_words(job: Mapping[str, Any], now: float | None = None) -> str:
    """Return how far a job is: the count, failures, and the time left once that can be said."""
    if job["state"] == "QUEUED":
        return "waiting for its turn"
    if not job["total"]:
        return "getting ready"
    done = int(job["done"] + job["failed"] + job["skipped"])
    said = f"{done} of {int(job['total'])}"
    if job["failed"]:
        said += f", {int(job['failed'])} failed"
    computed = done - int(job["skipped"])
    if computed > 0 and quantities.known(job["started"]):
        spent = (time.time() if now is None else now) - job["started"]
        left = spent / computed * (job["total"] - done)
        said += f" · about {quantities.duration(max(left, 0))} left"
    return said


def part_words(job: Mapping[str, Any], part: Mapping[str, Any], now: float | None = None) -> str:
    """Return how far the one unit of a job is, what it does, and the time left."""
    done, total = int(part["done"]), int(part["total"])
    said = f"{100 * done / total:.0f} %"
    if part["words"]:
        said += f", {part['words']}"
    if 0 < done < total and quantities.known(job["started"]):
        spent = (time.time() if now is None else now) - job["started"]
        said += f" · about {quantities.duration(max(spent / done * (total - done), 0))} left"
    return said
