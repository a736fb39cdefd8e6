"""What the trade-offs page is asked: a size with its rule and form, or ranks set by hand."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.views.parts import permalink
from jobs import ranks_by_hand, switch_ranks
from jobs.tradeoffs import ALLOCATIONS, FORMS, OBJECTIVES, Point, Tradeoffs

LEAST, MIDDLE = 5, 60  # per cent: the slider's end, and where it stands at first
WEIGHTS = "weights"
ALLOCATED = "allocation"
WORDS = (
    "Ranks of single layers, in place of the allocation's: blocks.0.q=12, blocks.*.up=40, "
    "blocks.1.k=dense"
)


@dataclass(frozen=True, eq=False)
class Asked:
    """What is shown, and the choices that it came from; `by_hand` says where ranks were set."""

    point: Point
    allocation: str
    form: str
    objective: str
    by_hand: str = ""

    @property
    def rule(self) -> str:
        """How the ranks were chosen, in words."""
        return self.by_hand or f"{ALLOCATIONS[self.allocation]} allocation"


def method(place: Any, methods: Sequence[str], titles: Any, *, spectra: bool) -> str:
    """Ask for the method whose losses count, where there is a choice; "" for the weights alone."""
    options = [*methods, *([WEIGHTS] if spectra or not methods else [])]
    if not methods:
        return ""
    with place:
        chosen = permalink.choice(
            "Method", options, "method", follows=True,
            format_func=lambda name: "weights only" if name == WEIGHTS else titles(name),
        )  # fmt: skip
    return "" if chosen == WEIGHTS else chosen


def least_of(found: Tradeoffs) -> int:
    """Return the smallest share to keep, in per cent."""
    return max(LEAST, math.ceil(100 * found.least))


def draw(client: Any, model: str, found: Tradeoffs, places: Sequence[Any]) -> Asked:
    """Draw the choices: the objective and where ranks come from in `places`, the others below."""
    with places[0]:
        objective = _named("Counts as lost", found.objectives, OBJECTIVES, "objective")
    with places[1]:
        job = _job(client.store, model)
    columns = st.columns([2.6, 1.6, 1.8, 3])
    least = least_of(found)
    with columns[0]:
        keep = permalink.level(
            "Keep of the linear layers' parameters", "keep",
            (float(least), 100.0), float(max(MIDDLE, least)), step=1.0, format="%.0f %%",
            disabled=bool(job),
        )  # fmt: skip
    with columns[1]:
        allocation = _named("Allocation", list(ALLOCATIONS), ALLOCATIONS, "allocation", bool(job))
    with columns[2]:
        form = _named("Stored as", list(FORMS), FORMS, "form")
    with columns[3]:
        text = permalink.words("Ranks by hand", "ranks", placeholder="blocks.0.q=12", help=WORDS)
    if not (job or text.strip()):
        return Asked(found.at(keep / 100, allocation, form, objective), allocation, form, objective)
    ranks = (
        switch_ranks.ranks(client.store, job, found.layers)
        if job
        else found.at(keep / 100, allocation, form, objective).ranks
    )
    ranks = ranks_by_hand.changed(ranks, text, list(found.layers["layer"]))
    said = f"ranks of job {job}" if job else f"{ALLOCATIONS[allocation]} allocation"
    by_hand = f"{said}, changed by hand" if text.strip() else said
    return Asked(found.by_hand(ranks, form, objective), allocation, form, objective, by_hand)


def _named(label: str, options: Sequence[str], words: Any, key: str, disabled: bool = False) -> str:
    return permalink.choice(
        label, options, key, follows=True, format_func=words.__getitem__, disabled=disabled
    )


def _job(store: Any, model: str) -> str:
    """Ask whether ranks come from a stable-rank job, where there is one; "" for the allocation."""
    jobs = switch_ranks.jobs(store, model)
    if not jobs:
        return ""
    names = {ALLOCATED: "this allocation", **{job: f"stable-rank job {job}" for job in jobs}}
    chosen = _named("Ranks from", list(names), names, "from")
    return "" if chosen == ALLOCATED else chosen
