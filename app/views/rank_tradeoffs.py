"""Rank trade-offs: what any size would cost, from what is stored and with no job."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app import connection
from app.views.parts import chart, permalink, running, states
from app.views.parts.tradeoffs import choices, drawn, launching, table
from jobs import calibrated, linear_layers
from jobs.errors import JobError
from jobs.tradeoffs import Tradeoffs


def page() -> None:
    """Draw the choices, the numbers, the curve beside the ranks, and the table."""
    client = connection.client()
    models = client.store.models()
    if models.empty:
        states.empty("No model yet", "Add one on **Models**: a folder, a file or a hub id.")
        return
    columns = st.columns([2.4, 2.2, 2.6, 2.4])
    with columns[0]:
        model = permalink.choice("Model", list(models["name"]), "model", always=True)
    running.banner(client, model)
    labels = client.store.labels(model)
    refused = linear_layers.why_not(labels, model)
    if refused:
        states.empty("Nothing to trade here", chart.plain(refused))
        return
    mark = linear_layers.stamp(client.store, model, labels)
    weights = _loaded(client, model, "", mark)
    methods = _offered(client.store, model, mark, weights.layers)
    found = _of_method(client, model, mark, columns[1], weights, methods)
    if found is None:
        return
    _advice(client, model, found, methods)
    if choices.least_of(found) >= 100:
        states.empty("Too few layers", "Nearly all of them would stay dense, for want of numbers.")
        return
    try:
        asked = choices.draw(client, model, found, columns[2:])
    except JobError as error:
        states.failed(str(error))
        return
    _draw(client, model, found, asked, labels)


def _of_method(
    client: Any, model: str, mark: str, place: Any, weights: Tradeoffs, methods: Sequence[str]
) -> Tradeoffs | None:
    """Return the trade-offs of the chosen method, or of the weights; None where there are none."""
    spectra = bool(weights.known.any())
    if not (spectra or methods):
        launching.no_spectra(client, model)
        return None
    method = choices.method(place, methods, _titles(client.catalog()), spectra=spectra)
    found = _loaded(client, model, method, mark) if method else weights
    if found.objectives:
        return found
    states.empty(
        "Calibrated on other weights",
        "The files were replaced since, and nothing is known of them as they are now.",
    )
    launching.calibration(client, model, launching.ONCE)
    return None


@st.cache_resource(max_entries=4, show_spinner="Reading what is stored")
def _loaded(_client: Any, model: str, method: str, mark: str) -> Tradeoffs:
    """Return a model's trade-offs, read anew when `mark`, what is stored, is another."""
    del mark
    return Tradeoffs.load(_client.store, model, method, _client.array)


@st.cache_data(max_entries=8, show_spinner=False)
def _offered(_store: Any, model: str, mark: str, _layers: pd.DataFrame) -> list[str]:
    """Return the methods whose losses were measured, the best first."""
    del mark
    return calibrated.methods(_store, model, _layers)


def _titles(catalog: Mapping[str, Any]) -> Callable[[str], str]:
    """Return what gives a method's title with its settings."""
    methods = catalog.get("methods") or {}

    def title(full_name: str) -> str:
        name, _, settings = full_name.partition(":")
        words = str(methods.get(name, {}).get("title", name.replace("_", " ")))
        return f"{words} ({settings})" if settings else words

    return title


def _advice(client: Any, model: str, found: Tradeoffs, methods: Sequence[str]) -> None:
    """Offer what would tell more: missing spectra, or a calibration."""
    if not found.method and found.missing:
        launching.incomplete(client, model)
    if found.replaced:
        words = f"Curves of weights that were replaced since: {len(found.replaced)}."
        launching.calibration(client, model, f"{words} Calibrate again to see what these lose.")
    elif not methods:
        launching.calibration(client, model, f"{drawn.WEIGHTS_ONLY} {launching.ONCE}")
    elif not found.method:
        st.caption(f"{drawn.WEIGHTS_ONLY} The methods above know the outputs.")
    elif not found.predicts:
        st.caption("Calibrated without gradients: no change of loss is predicted.")


def _draw(
    client: Any, model: str, found: Tradeoffs, asked: choices.Asked, labels: pd.DataFrame
) -> None:
    drawn.cards(asked)
    launching.trial(client, model, found.method, asked)
    for sentence in asked.point.warnings:
        st.warning(chart.plain(states.short(sentence)), icon=":material/warning:")
    left, right = st.columns([1.15, 1], gap="medium")
    with left:
        drawn.curve(found, asked)
    with right:
        drawn.maps(found, asked)
    drawn.comparison(found, asked)
    table.draw(asked.point.layers, table.left_out(labels))


page()
