"""WeLore's view: which layers are low-rank at the threshold, and what another one would do."""

import json

import pandas as pd
import streamlit as st

from app import quantities
from app.about.welore import ABOUT
from app.plots import welore
from app.shown import Shown, of_the_model
from app.views.parts import chart, permalink
from app.views.parts.panels import plain
from jobs import thresholds


def draw(shown: Shown) -> None:
    """Draw the totals, the layers at the job's threshold, and a slider to another threshold."""
    shared = of_the_model(shown.rows, shown.columns)
    plain.cards(shown.rows, [shown.columns[name] for name in shared])
    rows = shown.rows[shown.rows["classification"].isin(welore.CLASSES)]
    if rows.empty:
        st.info("No layer takes part: the table says why for each.")
        return
    params = json.loads(shown.job["params"] or "{}")
    own = float(rows["threshold"].iloc[0])
    stored = thresholds.scaled_spectra(
        shown.client.store, shown.job["model"], list(rows["layer"].astype(str))
    )
    at = permalink.level(
        "Threshold τ", "threshold", (0.0, 1.0), own, step=0.001, format="%.3f",
        help="The job's own threshold at first; moving it computes nothing anew but the counts.",
    )  # fmt: skip
    moved = abs(at - own) > 5e-4
    table = thresholds.classified(stored, at, params) if moved else rows
    _words(table, rows, moved=moved)
    _figures(table, stored, float(params["cutoff"]), at if moved else own)


def _figures(table: pd.DataFrame, stored: pd.DataFrame, cutoff: float, at: float) -> None:
    left, right = st.columns([1.6, 1], gap="medium")
    with left:
        figure = welore.by_layer(table, cutoff, at)
        chart.heading(figure.title, figure.caption, ABOUT)
        chart.draw(figure, "welore-layers", height=320)
    with right:
        figure = welore.spread(list(stored["scaled"]), at)
        chart.heading(figure.title, figure.caption)
        chart.draw(figure, "welore-spread", height=320)


def _words(table: pd.DataFrame, rows: pd.DataFrame, *, moved: bool) -> None:
    """Say what the threshold does to ranks and to parameters, which are two numbers."""
    ranks = table["pruned"].sum() / (table["pruned"] + table["rank"]).sum()
    kept = table["applied_parameters"].sum() / table["parameters"].sum()
    factored = int((table["classification"] == "LRC").sum())
    said = (
        f"{quantities.percent(ranks)} of all ranks fall below this threshold; after cutoff and "
        f"guard {factored} of {len(table)} layers are factored, and the linear layers hold "
        f"{quantities.percent(kept)} of their parameters."
    )
    missing = len(rows) - len(table)
    if moved and missing:
        said += f" {missing} layers are left out: their spectra are no longer stored."
    st.caption(chart.plain(said))
