"""Entanglement's view: the headline numbers and the cuts of one layer, then all layers."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from app import quantities
from app.about.entanglement import ABOUT
from app.plots import entanglement as plots
from app.shown import Shown
from app.views.parts import chart, permalink, states


def draw(shown: Shown) -> None:
    """Draw the chosen layer's numbers and curve, then one number of every layer."""
    rows = plots.measured(shown.rows)
    if rows.empty:
        states.empty("No layer is measured yet", "Layers appear here as they finish.")
        return
    left, right = st.columns([2.4, 1.2], vertical_alignment="bottom")
    with left:
        layer = permalink.choice("Layer", list(rows["label"].astype(str)), "cut_layer", always=True)
    with right:
        unit = permalink.choice(
            "Unit", list(plots.UNITS), "entropy_unit", format_func=plots.UNITS.__getitem__
        )
    row = rows[rows["label"].eq(layer)].iloc[0].to_dict()
    _cards(row, unit)
    _cuts(layer, row, unit)
    _layers(rows, unit)


def _cards(row: Mapping[str, Any], unit: str) -> None:
    """Draw the headline numbers; a share of the maximum is no unit of theirs, nats stand in."""
    words, scale = ("bits", plots.BITS) if unit == "bits" else ("nats", 1.0)

    def amount(value: Any) -> str:
        if not quantities.known(value):
            return "not measured"
        return f"{quantities.digits(value / scale)} {words}"

    cuts = plots.Cuts.of(row)
    maximum = cuts.maximum[cuts.centre]
    beyond, spread = row.get("beyond_spectrum"), row.get("beyond_spectrum_deviations")
    cards = [
        (
            "Deficit at row|column",
            amount(row["deficit"]),
            f"{quantities.digits(row['deficit_factor'])} × fewer directions than noise",
            "Page's value minus S: 0 for noise of any shape. Free of the basis.",
        ),
        (
            "Structure beyond the spectrum",
            amount(beyond),
            _beside(row, spread),
            "Mean distance of S, over all other cuts, from matrices with the same singular values "
            "in random directions; in deviations, such matrices themselves have 0 ± 1.",
        ),
        (
            "Entropy at row|column",
            amount(row["entropy_row_column"]),
            f"of at most {amount(maximum)}",
            "Of the singular values themselves.",
        ),
        (
            "Valley",
            amount(row["valley_depth"]),
            f"noise of this shape: {amount(plots.noise_valley(cuts))}",
            "Highest S of all cuts minus S at row|column. Every rectangular matrix has a valley.",
        ),
    ]
    chart.cards(
        (chart.plain(title), value, beside, chart.plain(about))
        for title, value, beside, about in cards
    )


def _beside(row: Mapping[str, Any], spread: Any) -> str:
    """Say how far the matrix is from its controls, or which parameter would tell."""
    if quantities.known(spread):
        return f"{quantities.digits(spread)} standard deviations"
    return "raise most_work to measure it" if "most_work" in str(row.get("remark")) else ""


def _cuts(layer: str, row: Mapping[str, Any], unit: str) -> None:
    place, other = st.columns([1.25, 1], gap="medium")
    with place:
        figure = plots.over_cuts(layer, row, unit)
        chart.heading(figure.title, figure.caption, ABOUT)
        chart.draw(figure, "entanglement-cuts", height=400)
    departed = plots.beyond(layer, row, unit)
    if departed is not None:
        with other:
            chart.heading(departed.title, departed.caption, ABOUT)
            chart.draw(departed, "entanglement-beyond", height=400)
    said = (
        f"{quantities.shape((row['rows'], row['cols']))}, sites {row['site_dims']} "
        f"({row['site_order']}), measured on {row['basis']}, numerical rank "
        f"{int(row['numerical_rank'])}; {int(row['draws'])} draws of each control. Only the "
        "row|column cut does not depend on the basis or on the order of rows and columns."
    )
    remark = row.get("remark")
    st.caption(chart.plain(f"{said} {remark}." if isinstance(remark, str) and remark else said))


def _layers(rows: pd.DataFrame, unit: str) -> None:
    there = [name for name in plots.BY_LAYER if rows[name].notna().any()]
    left, _ = st.columns([1, 1])
    with left:
        column = permalink.choice(
            "By layer", there, "entropy_by", format_func=lambda name: plots.BY_LAYER[name][0]
        )
    figure = plots.by_layer(rows, column, unit)
    chart.heading(figure.title, figure.caption)
    chart.draw(figure, "entanglement-layers", height=300)
