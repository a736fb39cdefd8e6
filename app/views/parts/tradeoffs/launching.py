"""What can be started from the trade-offs: spectra, a calibration, a trial of the point."""

from typing import Any

import streamlit as st

from app.views.parts import permalink, running, states
from app.views.parts.tradeoffs.choices import Asked
from app.views.parts.trials import carry

TRIALS = "views/compression.py"
CALIBRATION = "activations"
ONCE = "Calibrate once, and the change of loss is predicted at every size."


def trial(client: Any, model: str, method: str, asked: Asked) -> None:
    """Offer to measure the point: its size and rule, or these very ranks."""
    if not client.can_run:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button("Launch this as a trial", type="primary")
        very = bool(asked.by_hand) or permalink.switch(
            "These very ranks", "very",
            help="Otherwise the trial allocates anew, on the calibration it is launched with.",
        )  # fmt: skip
    if pressed:
        ranks = asked.point.ranks if very else None
        carry(asked.point.kept, asked.allocation, asked.form, asked.objective, ranks)
        methods = (method or "svd").partition(":")[0]
        st.switch_page(TRIALS, query_params={"model": model, "methods": methods})


def calibration(client: Any, model: str, words: str) -> None:
    """Say why a calibration would tell more, and offer it unless a job is at work."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(words, width="content")
        declared = CALIBRATION in client.catalog()["analyses"]
        idle = running.active(client.store.jobs(), model).empty
        if declared and idle and client.can_run and st.button("Calibrate"):
            client.submit(model, CALIBRATION, {}, restrict_to_roots=True)
            st.rerun()


def no_spectra(client: Any, model: str) -> None:
    """Say that nothing is stored yet, and offer the spectra."""
    if not running.active(client.store.jobs(), model).empty:
        states.empty("The first spectra are on their way", "The page fills as layers finish.")
        return
    states.empty(
        f"No spectra of {model} yet",
        "Each weight matrix is decomposed once; every size is then read from that.",
    )
    _spectra(client, model, "Compute the spectra")


def incomplete(client: Any, model: str) -> None:
    """Offer the spectra that are missing, unless a job is at work on them."""
    if running.active(client.store.jobs(), model).empty:
        _spectra(client, model, "Compute the missing spectra")


def _spectra(client: Any, model: str, words: str) -> None:
    if client.can_run and st.button(words, type="primary"):
        client.submit(model, "spectrum", {}, restrict_to_roots=True)
        st.rerun()
