"""Trials' view: a job's trials as the page of compression lists them, and the way there."""

import streamlit as st

from app import trials as found
from app.shown import Shown
from app.views.parts.trials import methods, table

TRIALS_PAGE = "views/compression.py"


def draw(shown: Shown) -> None:
    """Draw the table of the job's finished trials."""
    model = str(shown.job["model"])
    st.page_link(TRIALS_PAGE, label="Figures on Compression", query_params={"model": model})
    trials = found.of_model(shown.client, model)
    own = trials["unit"].isin(shown.client.store.units(shown.job["id"])["unit"])
    known = methods.known(shown.client.catalog())
    table.listed(found.finished(trials[own]), shown.client.disk(), known)
