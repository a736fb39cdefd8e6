"""Attention entanglement's view: growth with the length of the text, by block and by head."""

from typing import Any

import pandas as pd
import streamlit as st

from app import quantities
from app.about.attention_entanglement import ABOUT
from app.plots import attention_entanglement as plots
from app.shown import Shown
from app.views.parts import chart, permalink, states

LAYER = "attention_layer"
UNITS = ("nats", "bits")
MOST_HEADS = 7  # curves that can be told apart


def draw(shown: Shown) -> None:
    """Draw a block's numbers, its entropies against the length, and the map of slopes."""
    rows = shown.rows[shown.rows["entropy"].notna()] if "entropy" in shown.rows else None
    if rows is None or rows.empty:
        states.empty("No head is measured yet", "Heads appear here when all windows are read.")
        return
    rows = rows.assign(layer=rows["layer"].astype(str))
    left, right = st.columns([2.4, 1.2], vertical_alignment="bottom")
    with left:
        layer = permalink.choice("Block", list(dict.fromkeys(rows["layer"])), LAYER, always=True)
    with right:
        unit = permalink.choice("Unit", list(UNITS), "attention_unit")
    _cards(rows, layer, unit)
    _against_length(rows, layer, unit)
    _slopes(rows, layer, unit)


def _cards(rows: pd.DataFrame, layer: str, unit: str) -> None:
    """Draw the numbers of a block's mean over heads."""
    table = plots.of_head(rows, layer, None)
    if table.empty:
        return
    scale, last = (plots.BITS if unit == "bits" else 1.0), table.iloc[-1].to_dict()
    uniform = plots.slope_of(table, "uniform")
    octave = f"{unit} per octave"
    cards = [
        (f"Slope, {octave}", last["slope"], _between(last, "slope", scale)),
        ("Growth over the last octave", last["octave"], _between(last, "octave", scale)),
        ("Slope of uniform attention", uniform, "same mask and lengths"),
        (
            f"Entropy at {int(last['length'])} tokens, {unit}", last["entropy"],
            f"of at most {quantities.digits(last['maximum'] / scale)}",
        ),
    ]  # fmt: skip
    chart.cards(
        (title, quantities.digits(value / scale) if quantities.known(value) else "not measured",
         beside, "")
        for title, value, beside in cards
    )  # fmt: skip


def _between(row: dict[str, Any], name: str, scale: float) -> str:
    ends = [row[f"{name}_low"], row[f"{name}_high"]]
    if not all(quantities.known(end) for end in ends):
        return ""
    return f"95 %: {' to '.join(quantities.digits(end / scale) for end in ends)}"


def _against_length(rows: pd.DataFrame, layer: str, unit: str) -> None:
    place = st.container()
    count = sorted({int(h) for h in plots.per_head(rows)["head"]})
    left, right = st.columns([1, 1.4])
    with left:
        heads = permalink.choices(
            "Heads", [str(head) for head in count], "attention_heads",
            max_selections=MOST_HEADS, placeholder=f"{plots.MEAN}; or choose some",
        )  # fmt: skip
    with right:
        overlays = permalink.choices(
            "Held against", list(plots.OVERLAYS), "attention_against", plots.DEFAULT_OVERLAYS,
            draw=st.pills, format_func=plots.OVERLAYS.__getitem__, wrap=True,
        )  # fmt: skip
    figure = plots.against_length(rows, layer, [int(head) for head in heads], overlays, unit)
    with place:
        chart.heading(figure.title, figure.caption, ABOUT)
        chart.draw(figure, "attention-lengths")
        first = rows.iloc[0]
        st.caption(
            chart.plain(
                f"{int(first['windows'])} windows of {first['text']}; mask: {first['mask']}; "
                f"cut: {first['site_order']}."
            )
        )


def _slopes(rows: pd.DataFrame, layer: str, unit: str) -> None:
    figure = plots.slopes(rows, unit)
    if figure is None:
        states.empty("No slope", "One length alone has none: set longest to twice shortest.")
        return
    chart.heading(figure.title, f"{figure.caption} Click a cell for its block.")
    chart.draw_map(figure, "attention-slopes", [layer], _opened)


def _opened(names: list[str]) -> None:
    st.session_state[LAYER] = names[0]
