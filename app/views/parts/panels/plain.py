"""A view that has no panel of its own: the model's numbers, and one column drawn by layer."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app import quantities
from app.plots import bars, metric
from app.shown import Shown, numeric, of_the_model
from app.views.parts import chart, permalink

CARDS = 5  # in a row


def draw(shown: Shown) -> None:
    """Draw the numbers of the whole model as cards, then bars of a chosen column."""
    shared = of_the_model(shown.rows, shown.columns)
    cards(shown.rows, [shown.columns[name] for name in shared])
    bars_of(shown, without=shared)


def bars_of(shown: Shown, without: Sequence[str] = ()) -> None:
    """Draw bars of one numeric column, which the reader chooses."""
    titles = {name: metric.title_of(column) for name, column in shown.columns.items()}
    found = numeric(shown, without)
    if not found:
        return
    column = permalink.choice("Draw", found, "draw", format_func=titles.__getitem__)
    figure = bars.by_layer(shown.rows, column, titles[column])
    st.caption(chart.plain(figure.caption))
    chart.draw(figure, "bars", height=280)


def cards(found: pd.DataFrame, columns: Sequence[Mapping[str, Any]]) -> None:
    """Draw the numbers of the whole model."""
    for start in range(0, len(columns), CARDS):
        row = columns[start : start + CARDS]
        for place, column in zip(st.columns(CARDS), row, strict=False):
            value = found[column["name"]].dropna().iloc[0]
            say = quantities.percent if column.get("kind") == "ratio" else quantities.digits
            title, _, whose = metric.title_of(column).partition(" (")
            about = ". ".join(text for text in (whose.rstrip(")"), column.get("help", "")) if text)
            place.metric(chart.plain(title), say(value), border=True, help=chart.plain(about))
