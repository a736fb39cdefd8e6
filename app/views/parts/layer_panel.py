"""What is seen of the open layers: their decays, the numbers of the first, its eigenvalues."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st

from app import layer, quantities
from app.about import spectrum as about
from app.plots import decay, density
from app.views.parts import chart, notes, permalink, states

CARD_WIDTH = 310  # pixels: three in a row beside the side bar, two on a narrow screen
Named = Sequence[tuple[str, Mapping[str, Any]]]


def decays(store: Any, named: Named, seed: int) -> None:
    """Draw one layer's decay with its overlays, or several on common axes."""
    title = st.container()
    place = st.container()
    several = len(named) > 1
    axes = _axes(several=several)
    if several:
        curves = layer.curves(store, named)
        figure = decay.overlaid_decays(curves, axes) if curves else None
    else:
        figure = _one(store, *named[0], seed, axes)
    with title:
        row = named[0][1]
        shape = "" if several else f" · {quantities.shape((row['rows'], row['cols']))}"
        heading = figure.title if figure else f"Singular-value decay · {named[0][0]}"
        chart.heading(heading + shape, figure.caption if figure else "", about.DECAY)
    with place:
        if figure:
            chart.draw(figure, "decay")
        else:
            _no_spectrum(named[0][1])


def _one(store: Any, name: str, row: Mapping[str, Any], seed: int, axes: decay.Axes) -> Any:
    wanted = permalink.choices(
        "Held against",
        list(decay.OVERLAYS),
        "against",
        decay.DEFAULT_OVERLAYS,
        draw=st.pills,
        format_func=decay.OVERLAYS.__getitem__,
        label_visibility="collapsed",
        wrap=True,
    )
    share = 0.95
    if "energy" in wanted:
        share = permalink.level(
            "Energy threshold τ", "tau", (0.5, 0.999), 0.95, step=0.001, format="%.3f",
            help="The line stands at the fewest directions that carry this share of the energy.",
        )  # fmt: skip
    curves = layer.curves(store, [(name, row)])
    if not curves or row["status"] != "done":
        return None
    singular = layer.singular_values(store, row)
    energy = {share: layer.energy_rank(singular, share)}
    baselines = layer.baselines(store, row, wanted, seed, float(np.linalg.norm(singular)))
    lines, absent = decay.marks(row, wanted, energy), decay.missing(row, wanted)
    return decay.one_decay(curves[0], baselines, lines, axes, absent)


def _axes(*, several: bool) -> decay.Axes:
    with st.container(horizontal=True, gap="medium"):
        log_value = permalink.switch("Log values", "log_value", True)
        log_index = permalink.switch("Log index", "log_index", False)
        if several:
            normalised = permalink.switch("Normalised", "normalised", True)
        else:
            normalised = permalink.switch("Normalised", "normalised_one", False)
    return decay.Axes(normalised, log_value, log_index)


def _no_spectrum(row: Mapping[str, Any]) -> None:
    """Say why this layer has no decay."""
    if row["status"] == "failed":
        states.failed(f"{row['layer']} failed: {row['message']}")
    elif row["status"] == "zero":
        states.empty(
            f"{row['layer']} is all zero", "It has no direction at all, so there is no decay."
        )
    else:
        states.empty("No spectrum is stored for this layer", "Launch the spectra on Analyses.")


def cards(name: str, row: Mapping[str, Any], caption: str = "") -> None:
    """Draw the numbers of one layer as cards, each beside what it is to be read against."""
    full = int(min(row["rows"], row["cols"]))
    shown = [card for card in notes.cards(row, full) if card is not None]
    words = "\n".join(f"- **{title}**: {text}" for title, *_, text in shown)
    chart.heading(f"In numbers · {name}", caption, words)
    chart.cards(((*card, "") for *card, _ in shown), CARD_WIDTH)


def eigenvalues(store: Any, name: str, row: Mapping[str, Any]) -> None:
    """Draw the density of a layer's eigenvalues and its tail function, with the fitted laws."""
    singular = layer.singular_values(store, row)
    if not np.any(singular > 0):
        return
    law, bulk = layer.power_law(row), layer.bulk(row)
    left, right = st.columns(2, gap="medium")
    for column, key, plot, note in (
        (left, "density", density.eigenvalue_density, about.DENSITY),
        (right, "tail", density.tail_function, about.TAIL),
    ):
        with column:
            figure = plot(singular, law, bulk, name=name)
            chart.heading(figure.title, figure.caption, note)
            chart.draw(figure, key, height=330)
    st.caption(chart.plain(notes.fit_sentence(row)))
