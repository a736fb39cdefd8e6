"""The Hessian's view: the rank of one layer's or the whole model's, its eigenvalues, all layers."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app import quantities
from app.about.hessian import ABOUT
from app.plots import hessian as plots
from app.shown import Shown
from app.views.parts import chart, permalink, states


def draw(shown: Shown) -> None:
    """Draw the chosen Hessian's numbers and eigenvalues, then one number of every layer."""
    rows = plots.measured(shown.rows)
    if rows.empty:
        states.empty("No Hessian is measured yet", "Layers appear here as they finish.")
        return
    names = list(rows["layer"].astype(str))
    layer = names[0]
    if len(names) > 1:
        layer = permalink.choice("Layer", names, "hessian_layer", always=True)
    row = plots.plain(rows[rows["layer"].astype(str).eq(layer)].iloc[0].to_dict())
    chart.cards(
        (title, chart.plain(value), chart.plain(beside), about)
        for title, value, beside, about in cards(row)
    )
    _remarks(row)
    _spectrum(layer, row)
    if len(names) > 1:
        column = permalink.choice(
            "By layer", list(plots.BY_LAYER), "hessian_by", format_func=plots.BY_LAYER.__getitem__
        )
        figure = plots.by_layer(rows, column)
        chart.heading(figure.title, figure.caption)
        chart.draw(figure, "hessian-layers", height=300)


def cards(row: Mapping[str, Any]) -> list[chart.Card]:
    """Return title, value, what stands beside it, and help of each headline number."""
    top = row["top_eigenvalues"]
    found = [
        _rank_card(row),
        _significant_card(row),
        (
            "Trace",
            _with_error(row["trace"], row["trace_se"]),
            f"{quantities.digits(row['trace_outer'])} from H_O",
            "The sum of all eigenvalues; the rest comes from the functional part H_F.",
        ),
        (
            "Sharpest direction",
            quantities.digits(float(top[0])) if top is not None and len(top) else "none",
            "downwards" if top is not None and len(top) and top[0] < 0 else "",
            "The eigenvalue of largest size. A negative one is a direction in which the loss "
            "falls either way.",
        ),
    ]
    if quantities.known(row["bound"]):
        apart = int(row["rank"]) - int(row["bound"])
        beside = (
            "met exactly"
            if not apart
            else f"the rank is {abs(apart)} " + ("above" if apart > 0 else "below")
        )
        title = "Linear-net bound" if "linear-net" in row["bound_label"] else "Predicted rank"
        found.insert(1, (title, str(int(row["bound"])), beside, f"{row['bound_label']}."))
    return found


def _rank_card(row: Mapping[str, Any]) -> chart.Card:
    size = quantities.count(row["parameters"])
    if row["method"] == "exact":
        parts = f"H_O {int(row['rank_outer'])} · H_F {int(row['rank_functional'])}"
        about = f"Of {size} parameters; below it the ranks of the two parts."
        return "Rank", str(int(row["rank"])), parts, about
    beside = "one start: no interval"
    if row["rank_low"] is not None:
        low, high = (quantities.digits(row[name]) for name in ("rank_low", "rank_high"))
        beside = f"interval {low} to {high}"
    about = (
        f"Of {size} parameters: eigenvalues with a size above "
        f"{quantities.digits(row['threshold'])}. The interval covers the random starts, at "
        "95 %, and how the count moved over the second half of the steps."
    )
    return "Rank above the threshold", quantities.digits(row["rank"]), beside, about


def _significant_card(row: Mapping[str, Any]) -> chart.Card:
    about = (
        f"Eigenvalues with a size above {quantities.digits(row['significant_threshold'])}, the "
        "tolerance's share of the largest: by it exact and estimated layers can be compared."
    )
    share = f"{quantities.percent(row['significant_share'])} of all directions"
    return "Significant", _with_error(row["significant"], row["significant_se"]), share, about


def _with_error(value: float, error: float | None) -> str:
    said = quantities.digits(value)
    return f"{said} ± {quantities.digits(error)}" if error else said


def _remarks(row: Mapping[str, Any]) -> None:
    """Say what was measured, and what to know before reading it."""
    if row["warning"]:
        words = str(row["warning"])
        st.warning(chart.plain(f"{words[0].upper()}{words[1:]}."), icon=":material/warning:")
    estimated = row["method"] == "estimated"
    how = "estimated from Hessian products" if estimated else "the whole matrix"
    loss = quantities.digits(row["value"])
    source = "" if row["text"] in row["data"] or "Gaussian" in row["data"] else f" ({row['text']})"
    said = (
        f"{how}, {row['dtype']}, seed {row['seed']}. Loss {loss} over {row['data']}{source}. "
        f"Prediction: {row['bound_label']}."
    )
    st.caption(chart.plain(said[0].upper() + said[1:]))


def _spectrum(layer: str, row: Mapping[str, Any]) -> None:
    left, right = st.columns([1.6, 1], gap="medium")
    with left:
        if row["eigenvalues"] is not None:
            _eigenvalues(layer, row)
        elif row["density"] is not None:
            _drawn(plots.density(row, layer), "hessian-density", ABOUT)
    with right:
        if row["top_eigenvalues"] is not None and len(row["top_eigenvalues"]):
            _drawn(plots.largest(row, layer), "hessian-largest", ABOUT)


def _eigenvalues(layer: str, row: Mapping[str, Any]) -> None:
    place = st.container()
    wanted = permalink.choices(
        "Drawn",
        list(plots.PARTS),
        "hessian_parts",
        list(plots.PARTS),
        draw=st.pills,
        format_func=lambda name: plots.PARTS[name][0],
        label_visibility="collapsed",
    )
    with place:
        _drawn(plots.by_index(row, layer, wanted), "hessian-eigenvalues", ABOUT)


def _drawn(figure: plots.Figure, key: str, more: str = "") -> None:
    chart.heading(figure.title, figure.caption, more)
    chart.draw(figure, key, height=380)
