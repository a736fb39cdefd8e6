"""A view that has no panel of its own: the model's numbers, and one column drawn by layer."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app import quantities
from app.plots import bars, metric
from app.views.parts import chart, permalink
from app.views.parts.panels.shown import Shown

FIRST_DRAWN = {"rank": 0, "ratio": 1}  # the kinds of columns that answer this tool's question
CARDS = 5  # in a row


def draw(shown: Shown) -> None:
    """Draw the numbers of the whole model as cards, then bars of a chosen column."""
    shared = of_the_model(shown.rows, shown.columns)
    cards(shown.rows, [shown.columns[name] for name in shared])
    bars_of(shown, without=shared)


def bars_of(shown: Shown, without: Sequence[str] = ()) -> None:
    """Draw bars of one numeric column, which the reader chooses."""
    columns = shown.columns
    titles = {name: metric.title_of(column) for name, column in columns.items()}
    numeric = [
        name
        for name, column in columns.items()
        if column.get("kind") != "note" and name not in without and is_number(shown.rows, name)
    ]
    if not numeric:
        return
    numeric.sort(key=lambda name: FIRST_DRAWN.get(columns[name].get("kind", ""), 2))
    column = permalink.choice("Draw", numeric, "draw", format_func=titles.__getitem__)
    figure = bars.by_layer(shown.rows, column, titles[column])
    st.caption(chart.plain(figure.caption))
    chart.draw(figure, "bars", height=280)


def of_the_model(found: pd.DataFrame, columns: Mapping[str, Any]) -> list[str]:
    """Return the columns that repeat one number of the whole model in each row."""
    whole = [name for name in columns if name.startswith("model_")]
    if whole and "threshold" in columns:
        whole = ["threshold", *whole]
    return [n for n in whole if is_number(found, n) and found[n].nunique() == 1]


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


def is_number(table: pd.DataFrame, name: str) -> bool:
    """Return whether a column is there and holds numbers."""
    return name in table and pd.api.types.is_numeric_dtype(table[name])
