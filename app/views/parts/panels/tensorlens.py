"""TensorLens' view: which token of a window each output comes from, and how far to trust it."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app import quantities
from app.about.tensorlens import ABOUT, ABOUT_DELETION
from app.plots import tensorlens
from app.shown import Shown
from app.views.parts import chart, permalink
from jobs.states import RESUMABLE


def draw(shown: Shown) -> None:
    """Draw the cards, the map of one span, the shaded text, and the deletion test."""
    rows = shown.rows[[_is_there(cell) for cell in shown.rows.get("share", [])]]
    if rows.empty:
        ended = shown.job.get("state") in RESUMABLE
        first = "No map yet: the first one comes when the whole span is done."
        st.info("No map: the job ended before one was done." if ended else first)
        return
    first = rows.iloc[0].to_dict()
    _cards(first)
    row, what, target = _choices(rows)
    tokens = json.loads(row["tokens"])
    values = np.asarray(shown.array(row[what]), float)
    left, right = st.columns([1.7, 1], gap="large")
    with left:
        figure = _map(row, what, values, tokens)
        chart.heading(figure.title, figure.caption, ABOUT)
        chart.draw(figure, "tensorlens-map")
        _noise(shown, row, what)
    with right:
        _text(row, what, values[target], tokens, target)
        if _is_there(first.get("drop_contributions")):
            figure = tensorlens.deletion(first)
            chart.heading(figure.title, figure.caption, ABOUT_DELETION)
            chart.draw(figure, "tensorlens-deletion", height=280)
    _spans(shown, rows)


def _cards(row: Mapping[str, Any]) -> None:
    """Draw how well the map holds, what was frozen, and the headline of the deletion test."""
    cards = [
        ("Residual", row["residual"],
         "Completeness: ‖Σ c + b - Y‖ / ‖Y‖, all cells of the map together against the real model. "
         "Rounding leaves about 1e-6."),
        ("Logit residual", row["logit_residual"],
         "The same of the logits; a dash where this span does not end in them."),
        ("Backwards", row["back"],
         "Largest contribution of a later token to an earlier one: 0 for a decoder, a dash for an "
         "encoder, where every token reaches every other."),
        ("Gating", row["gating"],
         "Which path holds a gate's ratio. It changes T, and not the output."),
        ("Over random", row["over_random"],
         "Deletion test: area under the drop by contribution less that by random orders, with its "
         "paired 95 % interval; a dash where it was not run (deletion_windows)."),
    ]  # fmt: skip
    chart.cards(
        (title, chart.plain(value if isinstance(value, str) else quantities.digits(value)),
         _ends(row) if title == "Over random" else "", about)
        for title, value, about in cards
    )  # fmt: skip
    source = f"{row['text']}, window {int(row['window'])}, {row['dtype']}"
    st.caption(chart.plain(f"{source}. At token {int(row['position'])}: {row['target']}."))


def _ends(row: Mapping[str, Any]) -> str:
    """Return the interval of the headline in words, "" where there is none."""
    if not quantities.known(row["over_random_low"]):
        return ""
    low, high = (quantities.digits(row[f"over_random_{end}"]) for end in ("low", "high"))
    return f"{low} to {high}"


def _choices(rows: pd.DataFrame) -> tuple[dict[str, Any], str, int]:
    """Ask for the span, the reading and the target token."""
    spans, readings, targets = st.columns([1, 1, 1.4])
    with spans:
        names = list(rows["span"].astype(str))
        span = permalink.choice("Blocks", names, "lens_span")
    row: dict[str, Any] = rows[rows["span"].eq(span)].iloc[0].to_dict()
    with readings:
        stored = [what for what in tensorlens.WHATS if _is_there(row.get(what))]
        what = permalink.choice(
            "What is shown", stored, "lens_what", format_func=lambda w: tensorlens.WHATS[w].name
        )
    tokens = json.loads(row["tokens"])
    first = int(row["position"])
    places = [first, *(at for at in range(len(tokens)) if at != first)]
    with targets:
        target = permalink.choice(
            "Target token", [str(at) for at in places], "lens_target",
            format_func=lambda at: f"{at} · {tensorlens.seen(tokens[int(at)])}",
        )  # fmt: skip
    return row, what, int(target)


def _map(row: Mapping[str, Any], what: str, values: np.ndarray, tokens: list[str]) -> Any:
    column = tensorlens.WHATS[what].bias
    bias = np.asarray(row[column], float) if column and _is_there(row.get(column)) else None
    causal = quantities.known(row["back"]) and row["back"] == 0
    return tensorlens.token_map(values, bias, tokens, what, causal=causal)


def _noise(shown: Shown, row: Mapping[str, Any], what: str) -> None:
    """Say how sure the estimated norms are."""
    if what != "frobenius" or not _is_there(row.get("frobenius_error")):
        return
    values = np.asarray(shown.array(row["frobenius"]), float)
    error = np.asarray(shown.array(row["frobenius_error"]), float)
    relative = np.median(error[values > 0] / values[values > 0]) if (values > 0).any() else np.nan
    st.caption(
        f"{int(row['probes'])} probes: the median standard error is {quantities.percent(relative)} "
        "of a norm."
    )


def _text(
    row: Mapping[str, Any], what: str, values: np.ndarray, tokens: list[str], target: int
) -> None:
    """Draw the window's text, shaded by what each token contributes to the target."""
    caption = (
        f"Each token is shaded by its {tensorlens.WHATS[what].name} towards the outlined one: blue "
        "for, orange against, in full colour from the strongest other token on. Point at a token "
        "for its number."
    )
    if what == "logit":
        if np.isnan(values).any():
            caption = "This model has no logit at the outlined token: choose another target."
        else:
            caption += f" The logit is that of {_explained(row, target)}."
    chart.heading("The text", caption, ABOUT)
    st.html(tensorlens.shaded_text(tokens, values, target, dark=chart.dark()))


def _explained(row: Mapping[str, Any], target: int) -> str:
    return f"“{tensorlens.seen(json.loads(row['logit_of'])[target])}”"


def _spans(shown: Shown, rows: pd.DataFrame) -> None:
    """Draw how the sources change from span to span, where there are several."""
    beside = rows[rows["span"].ne(rows["span"].iloc[0])]
    if len(beside) < 2:
        return
    shares = [np.asarray(shown.array(cell), float) for cell in beside["share"]]
    figure = tensorlens.by_span(beside, shares)
    chart.heading(figure.title, figure.caption)
    chart.draw(figure, "tensorlens-spans", height=280)


def _is_there(cell: Any) -> bool:
    """Return whether a cell holds something (None and NaN are nothing)."""
    return cell is not None and not (isinstance(cell, float) and np.isnan(cell))
