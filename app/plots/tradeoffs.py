"""What a model loses against what it holds, and which rank that gives each layer."""

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from app import quantities
from app.plots import grid
from app.plots.figure import Axis, Figure, Mark, Scale, Series
from app.plots.metric import Metric

RANK = Metric("kept_rank", "Kept rank", "singular directions that the layer keeps", "rank")
NATS = Metric("nats", "Predicted Δloss", "what the layer adds to the loss, in nats", "count")
TICKS = tuple((share, quantities.percent(share)) for share in np.linspace(0, 1, 5))
Curve = tuple[np.ndarray, np.ndarray]  # shares kept, ascending, and the error or nats at each
SHARES = Axis("kept of the linear layers' parameters (%)", low=0.0, high=100.0)


def losses_by_size(
    curves: Mapping[str, Curve], here: tuple[float, float], reliable: float
) -> Figure:
    """Return the predicted change of loss against the size, a curve for each name.

    `here` is the point. Up to `reliable` nats a prediction can be relied on: the axis reaches
    little beyond, so that differences below it can be seen.
    """
    series = [*_lines(curves), _dot(here)]
    highest = max(float(s.y.max(initial=0.0)) for s in series)
    high = min(highest, max(3 * reliable, 1.3 * here[1]))
    marks = (
        (Mark("y", reliable, f"not reliable above {reliable:g}", "edge"),)
        if reliable < high
        else ()
    )
    return Figure(
        title="Predicted Δloss against size",
        caption="From the calibration alone, over all layers together. Lower is better; the dot is "
        "where the choice stands.",
        x=SHARES,
        y=Axis("predicted change of loss (nats per token)", low=0.0, high=1.05 * (high or 1.0)),
        series=tuple(series),
        marks=marks,
    )


def errors_by_size(
    curves: Mapping[str, Curve], noise: Curve | None, here: tuple[float, float],
    words: str = "relative error √(1 - E)",
) -> Figure:  # fmt: skip
    """Return the relative error against the size, a curve for each name; `here` is the point.

    `noise` is what noise of the same shapes loses under the chosen allocation.
    """
    series = _lines(curves)
    caption = (
        "Weights only: this says little about accuracy. Lower is better; the dot is where the "
        "slider stands."
    )
    if "whitened" in words:
        caption = "Of the outputs on the calibration text. Lower is better; the dot is the choice."
    if noise is not None:
        series.append(Series("noise", 100 * noise[0], noise[1], "noise"))
        caption += " Grey: noise of the same shapes under the chosen allocation."
    series.append(_dot(here))
    highest = max(float(s.y.max(initial=0.0)) for s in series)
    return Figure(
        title="Relative error against size",
        caption=caption,
        x=SHARES,
        y=Axis(words, low=0.0, high=1.05 * (highest or 1.0)),
        series=tuple(series),
    )


def _lines(curves: Mapping[str, Curve]) -> list[Series]:
    return [Series(name, 100 * kept, lost) for name, (kept, lost) in curves.items()]


def _dot(here: tuple[float, float]) -> Series:
    x, y = (np.array([value]) for value in (100 * here[0], here[1]))
    return Series("here", x, y, "fit", "points")


def loss_maps(layers: pd.DataFrame, rule: str) -> list[Figure]:
    """Return what each layer of a point adds to the loss, as the maps of `rank_maps`."""
    frame = layers.assign(status="done", message=layers["reason"])
    table = grid.prepared(frame, NATS, "absolute")
    known = layers["nats"].notna().to_numpy()
    texts = [quantities.digits(value, 2) for value in layers["nats"]]
    table["text"] = np.where(known & ~layers["dense"], texts, table["text"])
    table["text"] = np.where(layers["dense"] & known, "dense", table["text"])
    table["hover"] = [_hover(row) for row in layers.to_dict("records")]
    words = f"Nats that each layer adds under the {rule}. Deeper blue: more."
    colours = grid.colour_scale(np.append(0.0, layers["nats"].to_numpy(float)), "absolute")
    return grid.maps(table, NATS, "absolute", colours, words)


def rank_maps(layers: pd.DataFrame, rule: str) -> list[Figure]:
    """Return the ranks of a point's layers, as blocks by modules and the layers outside them.

    `rule` says how they were chosen: "greedy allocation".
    """
    frame = layers.assign(
        kept_rank=layers["rank"].astype("Float64"),
        status="done",
        message=layers["reason"],
    )
    table = grid.prepared(frame, RANK, "full")
    known = layers["rank"].notna().to_numpy()
    table["text"] = np.where(layers["dense"] & known, "dense", table["text"])
    table["hover"] = [_hover(row) for row in layers.to_dict("records")]
    words = f"Share of full rank under the {rule}. Deeper blue: more is kept."
    return grid.maps(table, RANK, "full", Scale("sequential", 0.0, 1.0, TICKS), words)


def _hover(row: Mapping[str, Any]) -> str:
    shape = quantities.shape((row["rows"], row["cols"]))
    said = [f"<b>{escape(str(row['layer']))}</b>", shape]
    if not pd.isna(row["rank"]):
        share = quantities.percent(row["rank"] / row["full"])
        said.append(f"rank {row['rank']} of {row['full']}: {share}")
        held = quantities.count(row["before"]), quantities.count(row["after"])
        said += [f"parameters {held[0]} → {held[1]}", f"error {quantities.digits(row['error'])}"]
        if quantities.known(row.get("nats")):
            said.append(f"predicted Δloss {quantities.digits(row['nats'])} nats")
    return "<br>".join([*said, escape(row["reason"])] if row["reason"] else said)
