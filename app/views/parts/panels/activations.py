"""Activations' view: the cache and the inputs in numbers, by depth and by head, then one layer."""

from typing import Any

import pandas as pd
import streamlit as st

from app import quantities
from app.about.activations import ABOUT, OF_ACTS, OF_CACHE
from app.plots import activations as plots
from app.shown import Shown
from app.views.parts import chart, permalink, states

LAYER = "activation_layer"
NOT_YET = (
    "Predicted bytes if keys and values were kept in their leading directions; no model here does "
    "that yet. Keys are measured before rotary position embedding, and energy is not quality: what "
    "it would cost is not measured."
)
NO_CACHE = "This model does not generate and keeps no cache: these are the directions alone."


def draw(shown: Shown) -> None:
    """Draw the totals, the dimensions by depth, the cache by head, and the chosen layer."""
    rows = plots.measured(shown.rows)
    if rows.empty:
        states.empty("No layer is measured yet", "Layers appear here when all are calibrated.")
        return
    rows = rows.assign(name=plots.names_of(rows))
    _cards(plots.totals(rows))
    _notes(shown.rows)
    _by_depth(rows)
    above = st.container()
    left, _ = st.columns([1, 1])
    with left:
        name = permalink.choice("Layer", list(dict.fromkeys(rows["name"])), LAYER, always=True)
    with above:
        _cache(rows, name)
    _one(rows, name)


def _cards(found: plots.Totals) -> None:
    full = found.cache["full"]
    cards = [_cache_card(found.cache[level], full, level) for level in plots.LEVELS]
    cards += [
        (
            "Effective dimension of inputs",
            quantities.digits(found.dimension),
            f"{quantities.percent(found.share)} of their width, median of {found.layers} layers",
            "Participation ratio of the input's second moment, not centred.",
        ),
        (
            "Calibration tokens",
            quantities.digits(found.tokens),
            f"{quantities.digits(found.tokens_by_input)} for each input, at least",
            "N/n of the layer with the fewest: below 2 the spectra are poor.",
        ),
    ]
    chart.cards((title, value, beside, chart.plain(help)) for title, value, beside, help in cards)


def _cache_card(value: float | None, full: float | None, level: str) -> chart.Card:
    title, about = f"KV cache at {level} %", "Of the chosen layers; float16."
    if value is None or not full:
        return title, "none", "", "No keys and values by themselves, or a model that keeps none."
    beside = f"{quantities.percent(value / full)} of {quantities.size(full)} for a token"
    return title, quantities.size(value), beside, about


def _notes(rows: pd.DataFrame) -> None:
    """Say what keeps numbers from being read as they stand, and of how many layers."""
    if "note" not in rows:
        return
    layers = plots.whole(rows)
    for note, inside in layers[layers["note"].notna()].groupby("note", sort=False):
        names = states.short(", ".join(inside["layer"].astype(str)))
        st.caption(chart.plain(f"{len(inside)} of {len(layers)} layers: {note} ({names})."))


def _by_depth(rows: pd.DataFrame) -> None:
    place = st.container()
    left, middle, right = st.columns([1, 1.6, 1], vertical_alignment="bottom")
    with left:
        side = permalink.choice(
            "Of", list(plots.SIDES), "activation_side", format_func=plots.SIDES.__getitem__
        )
    with middle:
        measure = permalink.choice(
            "Measure", list(plots.MEASURES), "activation_measure", format_func=_measure
        )
    with right:
        share = permalink.switch("As a share of the width", "activation_share")
    figure = plots.by_depth(rows, side, measure, share=share)
    if figure is not None:
        with place:
            chart.heading(figure.title, figure.caption, ABOUT)
            chart.draw(figure, "activations-depth", height=340)


def _measure(name: str) -> str:
    words = plots.MEASURES[name][0]
    return words[0].upper() + words[1:]


def _cache(rows: pd.DataFrame, name: str) -> None:
    if plots.cache_map(rows, "95") is None:
        return
    place = st.container()
    left, _ = st.columns([1, 2])
    with left:
        level = permalink.choice(
            "Kept", list(plots.LEVELS), "activation_level", format_func=plots.LEVELS.__getitem__
        )
    figure = plots.cache_map(rows, level)
    assert figure is not None
    with place:
        chart.heading(figure.title, f"{figure.caption} Click a cell for its head.", OF_CACHE)
        chart.draw_map(figure, "activations-cache", [name], _opened)
        kept = plots.totals(rows).cache["full"]
        st.caption(chart.plain(NOT_YET if kept else NO_CACHE))


def _opened(names: list[str]) -> None:
    st.session_state[LAYER] = names[0]


def _one(rows: pd.DataFrame, name: str) -> None:
    row = rows[rows["name"].eq(name)].iloc[0].to_dict()
    layers = plots.whole(rows)
    inputs: Any = layers.loc[layers["layer"].eq(row["layer"]), "input_values"].iloc[0]
    left, right = st.columns(2, gap="medium")
    with left:
        figure = plots.spectra(name, row, inputs)
        chart.heading(figure.title, figure.caption, ABOUT)
        chart.draw(figure, "activations-spectra", height=360)
    acting = plots.acts(name, row, inputs)
    if acting is not None:
        with right:
            chart.heading(acting.title, acting.caption, OF_ACTS)
            chart.draw(acting, "activations-acts", height=360)
