"""What a model loses against what it holds, and which rank that gives each layer."""

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from app import quantities
from app.plots import grid
from app.plots.figure import Axis, Figure, Scale, Series
from app.plots.metric import Metric

RANK = Metric("kept_rank", "Kept rank", "singular directions that the layer keeps", "rank")
TICKS = tuple((share, quantities.percent(share)) for share in np.linspace(0, 1, 5))
Curve = tuple[np.ndarray, np.ndarray]  # shares kept, ascending, and the error at each


def errors_by_size(
    curves: Mapping[str, Curve], noise: Curve | None, here: tuple[float, float]
) -> Figure:
    """Return the relative error against the size, a curve for each name; `here` is the point.

    `noise` is what noise of the same shapes loses under the chosen allocation.
    """
    series = [Series(name, 100 * kept, error) for name, (kept, error) in curves.items()]
    caption = (
        "Weights only: this says little about accuracy. Lower is better; the dot is where the "
        "slider stands."
    )
    if noise is not None:
        series.append(Series("noise", 100 * noise[0], noise[1], "noise"))
        caption += " Grey: noise of the same shapes under the chosen allocation."
    x, y = (np.array([value]) for value in (100 * here[0], here[1]))
    series.append(Series("here", x, y, "fit", "points"))
    highest = max(float(s.y.max(initial=0.0)) for s in series)
    return Figure(
        title="Relative error against size",
        caption=caption,
        x=Axis("kept of the linear layers' parameters (%)", low=0.0, high=100.0),
        y=Axis("relative error √(1 - E)", low=0.0, high=1.05 * (highest or 1.0)),
        series=tuple(series),
    )


def rank_maps(layers: pd.DataFrame, allocation: str) -> list[Figure]:
    """Return the ranks of a point's layers, as blocks by modules and the layers outside them."""
    frame = layers.assign(
        kept_rank=layers["rank"].astype("Float64"),
        status="done",
        message=layers["reason"],
    )
    table = grid.prepared(frame, RANK, "full")
    known = layers["rank"].notna().to_numpy()
    table["text"] = np.where(layers["dense"] & known, "dense", table["text"])
    table["hover"] = [_hover(row) for row in layers.to_dict("records")]
    words = f"Share of full rank under the {allocation} allocation. Deeper blue: more is kept."
    return grid.maps(table, RANK, "full", Scale("sequential", 0.0, 1.0, TICKS), words)


def _hover(row: Mapping[str, Any]) -> str:
    shape = quantities.shape((row["rows"], row["cols"]))
    said = [f"<b>{escape(str(row['layer']))}</b>", shape]
    if not pd.isna(row["rank"]):
        share = quantities.percent(row["rank"] / row["full"])
        said.append(f"rank {row['rank']} of {row['full']}: {share}")
        held = quantities.count(row["before"]), quantities.count(row["after"])
        said += [f"parameters {held[0]} → {held[1]}", f"error {quantities.digits(row['error'])}"]
    return "<br>".join([*said, escape(row["reason"])] if row["reason"] else said)
