"""A model whose weights were not decomposed yet: why nothing is drawn, and the button for it."""

from typing import Any

import streamlit as st

from app.views.parts import running, states

ADVICE = "Each weight matrix is decomposed once; everything on this page is read from that."


def draw(client: Any, model: str) -> None:
    """Say that spectra are on their way, or that there are none, and offer them."""
    if not running.active(client.store.jobs(), model).empty:
        states.empty("The first spectra are on their way", "Layers appear here as they finish.")
        return
    states.empty(f"No spectra of {model} yet", ADVICE)
    key = f"spectra of {model}"
    if client.can_run and st.button("Compute the spectra", key=key, type="primary"):
        client.submit(model, "spectrum", {}, restrict_to_roots=True)
        st.rerun()
