"""The figures over all trials of a model: accuracy against size, predicted against measured."""

from typing import Any

import pandas as pd
import streamlit as st

from app import trials as found
from app.about.trial import ABOUT_PREDICTED, ABOUT_SIZE
from app.plots import accuracy_against_size, predicted_against_measured
from app.views.parts import chart, permalink

OPEN = "trial"  # the key under which the open trial lives in the address


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
    measures, words = accuracy_against_size.measures(shown), accuracy_against_size.words(shown)
    columns = st.columns([1.4, 1.6, 1.2, 1.6], vertical_alignment="bottom")
    with columns[0]:
        measure = permalink.choice("Accuracy", measures, "accuracy_by", format_func=words.get)
    with columns[1]:
        sizes = list(accuracy_against_size.SIZES)
        size = permalink.choice("Size", sizes, "size_by", format_func=words.get)
    with columns[2]:
        dominated = permalink.switch("Dominated trials", "dominated", default=True)
    return accuracy_against_size.draw(shown, measure, size, dominated=dominated)
