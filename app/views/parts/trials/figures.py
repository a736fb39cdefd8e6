"""The figures over all trials of a model: accuracy against size, predicted against measured."""

from typing import Any

import pandas as pd
import streamlit as st

from app.plots import accuracy_against_size, predicted_against_measured
from app.views.parts import chart, permalink
from app.views.parts.trials import found

OPEN = "trial"  # the key under which the open trial lives in the address
ABOUT_SIZE = r"""
**Δloss** is the mean change of the loss from the dense model in nats per token, on the very same
windows, with a paired 95 % bootstrap interval over them; perplexity is $e^{\text{loss}}$. **Size**
counts each saved tensor once: bytes with scales and indices, parameters of the whole model (tied
ones once), or the share of the chosen linear layers' parameters.

The **Pareto front** joins the trials that no smaller one equals: in the order of size, a trial is
on it if it loses less than every trial before it on the front, by more than the paired interval of
the difference of the two.
"""
ABOUT_PREDICTED = r"""
$\Delta\text{loss} \approx \sum_\ell \langle \mathbb{E}[\partial L/\partial W_\ell],
W'_\ell - W_\ell \rangle + \tfrac12 \mathbb{E}_t\big[\big(\sum_\ell g_\ell^T (W_\ell - W'_\ell)\,
x_\ell\big)^2\big]$: the slope of the loss on the calibration text, and its curvature along all
changes together, by the Fisher matrix ([Martens 2014](https://arxiv.org/abs/1412.1193)) over tokens
$t$ of calibration windows that no factor was fitted to. It is of second order: above 0.3 nats it is
not reliable.
"""


def opened(names: list[str]) -> None:
    """Open the trial that was clicked."""
    st.session_state[OPEN] = names[0]


def draw(done: pd.DataFrame) -> None:
    """Draw the choices and both figures of the finished trials."""
    shown = _measured_on(done)
    figure = _accuracy(shown)
    chart.heading(figure.title, figure.caption, ABOUT_SIZE)
    chart.draw_map(figure, "accuracy", (), opened)
    predicted = predicted_against_measured.draw(done)
    if predicted is None:
        return
    chart.heading(predicted.title, predicted.caption, ABOUT_PREDICTED)
    left, _ = st.columns([1.6, 1])
    with left:
        chart.draw_map(predicted, "predicted", (), opened)


def _measured_on(done: pd.DataFrame) -> pd.DataFrame:
    """Return the trials of one text and protocol: others cannot be compared with them."""
    on = found.measured_on(done)
    texts = list(dict.fromkeys(on))
    if len(texts) == 1:
        return done
    chosen = permalink.choice(
        "Measured on", texts, "measured", follows=True,
        format_func=short_words(texts).__getitem__,
        help="Only trials that were measured on one text under one protocol are drawn together.",
    )  # fmt: skip
    return done[on.eq(chosen)]


def short_words(texts: list[str]) -> dict[str, str]:
    """Return by each text and protocol what tells it from the others in a list."""

    def short(text: str) -> str:
        name, _, protocol = text.partition(": ")
        read, *cut = protocol.split("; ")
        return f"{name}, {read.partition(': ')[0]}: {cut[0]}" if cut else text

    words = {text: short(text) for text in texts}
    return words if len(set(words.values())) == len(texts) else {text: text for text in texts}


def _accuracy(shown: pd.DataFrame) -> Any:
    """Draw the choices of the first figure and return it."""
    measures = accuracy_against_size.measures(shown)
    columns = st.columns([1.4, 1.6, 1.2, 1.6], vertical_alignment="bottom")
    with columns[0]:
        words = accuracy_against_size.MEASURES
        measure = permalink.choice("Accuracy", measures, "accuracy_by", format_func=words.get)
    with columns[1]:
        words = accuracy_against_size.SIZES
        size = permalink.choice("Size", list(words), "size_by", format_func=words.get)
    with columns[2]:
        dominated = permalink.switch("Dominated trials", "dominated", default=True)
    return accuracy_against_size.draw(shown, measure, size, dominated=dominated)
