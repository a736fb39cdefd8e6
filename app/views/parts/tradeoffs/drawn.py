"""What a point of the trade-offs holds and loses: cards, the curve, the maps, the comparison."""

import math
from typing import Any

import pandas as pd
import streamlit as st

from app import quantities, tradeoffs
from app.about.tradeoffs import ERROR, NATS, RANKS
from app.plots import tradeoffs as plots
from app.plots.trial_words import signed
from app.views.parts import chart, permalink
from app.views.parts.chart import Card
from app.views.parts.tradeoffs.choices import Asked
from jobs.tradeoff_words import RELIABLE
from jobs.tradeoffs import ALLOCATIONS, FORMS, Tradeoffs

WEIGHTS_ONLY = "Weights only: this says little about accuracy."
SYMBOLS = {"energy": "η", "welore": "τ"}
COLOURED = {"rank": "kept rank", "nats": "predicted Δloss"}


def cards(asked: Asked) -> None:
    """Draw the headline: the predicted change of loss where it is known, then what is held."""
    point, share = asked.point, quantities.percent
    whole = share(point.model_parameters / point.of_model_parameters)
    found = [
        *_predicted(point.nats),
        *([] if asked.objective == "expected" else [_error(asked)]),
        (
            "Linear layers",
            quantities.count(point.parameters),
            f"{share(point.parameters / point.of_parameters)} of "
            f"{quantities.count(point.of_parameters)}",
            "",
        ),
        (
            "Whole model",
            quantities.count(point.model_parameters),
            f"{whole} of {quantities.count(point.of_model_parameters)}",
            "",
        ),
        ("Left dense", f"{point.left_dense} of {len(point.layers)}", _rule(asked), ""),
        ("On disk", quantities.size(point.bytes), f"{quantities.size(point.of_bytes)} dense", ""),
    ]
    chart.cards(found)


def _predicted(nats: float | None) -> list[Card]:
    if nats is None:
        return []
    factor = f"perplexity × {quantities.digits(math.exp(min(nats, 700.0)))}"
    beside = f"not reliable above {RELIABLE:g}" if nats > RELIABLE else factor
    about = f"From the calibration alone, in nats per token: {factor}."
    return [("Predicted Δloss", f"{signed(nats)} nats", beside, about)]


def _error(asked: Asked) -> Card:
    kept = f"{quantities.percent(asked.point.energy)} energy kept"
    if asked.objective == "whitened":
        return "Whitened error", quantities.digits(asked.point.error), "of the outputs", ""
    return "Relative error", quantities.digits(asked.point.error), kept, WEIGHTS_ONLY


def _rule(asked: Asked) -> str:
    if asked.by_hand:
        return "ranks by hand"
    if asked.point.threshold is not None:
        found = quantities.digits(asked.point.threshold)
        return f"one {SYMBOLS[asked.allocation]} for all: {found}"
    return f"in {FORMS[asked.form]}" if asked.form == "two_factor" else FORMS[asked.form]


def curve(found: Tradeoffs, asked: Asked) -> None:
    """Draw what every allocation loses at every size."""
    figure = tradeoffs.curve(found, asked.point, asked.allocation, asked.form, asked.objective)
    if found.predicts:
        chart.heading(figure.title, figure.caption, NATS)
    else:
        lacks = "" if found.has_noise or found.method else " No noise is stored."
        chart.heading(figure.title, f"{figure.caption}{lacks}", ERROR)
    chart.draw(figure, "errors")


def maps(found: Tradeoffs, asked: Asked) -> None:
    """Draw the ranks, or what each layer adds to the loss, by block and module."""
    coloured = "rank"
    if found.predicts:
        coloured = permalink.choice(
            "Map shows", list(COLOURED), "map", format_func=COLOURED.__getitem__
        )
    drawn = plots.loss_maps if coloured == "nats" else plots.rank_maps
    figures = drawn(asked.point.layers, asked.rule)
    more = NATS if coloured == "nats" else RANKS
    chart.heading(figures[0].title, figures[0].caption, more)
    for position, figure in enumerate(figures):
        chart.draw_map(figure, f"ranks-{position}", (), lambda _: None)


def comparison(found: Tradeoffs, asked: Asked) -> None:
    """Draw every allocation in both forms at this size."""
    kept = max(asked.point.kept, found.least)
    chart.heading(
        f"Every allocation at {quantities.percent(kept)}",
        "The same size in both storage forms: which loses least, and how many layers stay dense.",
    )
    rows = found.compare(min(kept, 1.0), asked.objective)
    lost: dict[str, Any] = {"predicted Δloss": rows["nats"]} if found.predicts else {}
    if asked.objective != "expected":
        lost["relative error"] = rows["error"]
        lost["energy kept"] = 100 * (1 - rows["error"] ** 2)
    st.dataframe(
        pd.DataFrame({
            "allocation": rows["allocation"].map(ALLOCATIONS),
            "stored as": rows["form"].map(FORMS),
            **lost,
            "left dense": rows["left_dense"],
            "parameters": rows["parameters"],
            "on disk": [quantities.size(size) for size in rows["bytes"]],
        }),
        hide_index=True,
        column_config={
            "predicted Δloss": st.column_config.NumberColumn(format="%.4g", help="nats per token"),
            "relative error": st.column_config.NumberColumn(format="%.3f"),
            "energy kept": st.column_config.NumberColumn(format="%.1f %%"),
            "parameters": st.column_config.NumberColumn(format="localized"),
        },
        alt="Every allocation in both storage forms",
    )  # fmt: skip
