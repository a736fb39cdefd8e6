"""Stable ranks over epochs: curves, drift against its threshold, and the ranks at the switch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from app import quantities
from app.plots.figure import MOST_POINTS, Axis, Figure, Mark, Series
from app.plots.switch import NO_SAY, first, spacing


def layers(rows: pd.DataFrame) -> list[str]:
    """Return the layers in their order, those that have a say first."""
    names = rows.sort_values("epoch", kind="stable").drop_duplicates("layer")
    silent = names["state"] == NO_SAY
    return [*names["layer"][~silent].astype(str), *names["layer"][silent].astype(str)]


def over_epochs(rows: pd.DataFrame, chosen: Sequence[str]) -> Figure | None:
    """Return the stable ranks of some layers; of a single one with its smoothed value."""
    series = _curves(rows, chosen, "stable_rank")
    if not series:
        return None
    caption = "How many directions carry a layer's energy, from epoch to epoch."
    if len(chosen) == 1:
        counted = "whole numbers" if first(rows, "integer") else "measured values"
        series += _curves(rows, chosen, "smoothed", f"smoothed (of {counted})", "fit")
        caption += " The smoothed value is what the detector looks at."
    title = f"Stable rank · {chosen[0]}" if len(chosen) == 1 else "Stable rank by epoch"
    return _by_epoch(rows, title, caption, Axis("stable rank"), series)


def drift(rows: pd.DataFrame, chosen: Sequence[str]) -> Figure | None:
    """Return the drift of some layers against the threshold; None before there is any."""
    series = _curves(rows, chosen, "drift")
    if not series:
        return None
    counted = rows[pd.to_numeric(rows["drift"]).notna()].drop_duplicates("epoch")
    series += _curves(
        counted.assign(layer="threshold"), ["threshold"], "threshold", "threshold", "edge"
    )
    caption = (
        "A layer is stable for good once its drift is at or below the threshold, which is "
        "loosened when few layers are left."
    )
    if any((s.y <= 0).any() for s in series):
        caption += " A drift of 0 has no place on the axis."
        series = [_positive(s) for s in series]
    relative = quantities.known(first(rows, "relative_threshold"))
    title = "drift, share of the smoothed stable rank an epoch" if relative else "drift an epoch"
    ends = np.concatenate([s.y for s in series])
    ends = ends[ends > 0]  # NaN is not
    low, high = (float(ends.min() / 1.6), float(ends.max() * 1.6)) if ends.size else (None, None)
    axis = Axis(title, log=True, low=low, high=high)
    return _by_epoch(rows, "Drift of the smoothed value", caption, axis, series)


def loss(rows: pd.DataFrame) -> Figure | None:
    """Return the training loss; None for what was not trained here."""
    series = _curves(rows.assign(layer="loss"), ["loss"], "loss")
    caption = "Mean over the epoch that ended, on the text it trains on."
    axis = Axis("loss (nats per token)")
    return _by_epoch(rows, "Training loss", caption, axis, series) if series else None


def gradients(rows: pd.DataFrame, chosen: Sequence[str]) -> Figure | None:
    """Return the stable ranks of the gradients; None where there are none."""
    series = _curves(rows, chosen, "gradient_stable_rank")
    caption = "Of one batch each, the last of an epoch: they jump from batch to batch."
    axis = Axis("stable rank of the gradient")
    title = "Stable rank of the gradient"
    return _by_epoch(rows, title, caption, axis, series) if series else None


def _curves(
    rows: pd.DataFrame, chosen: Sequence[str], column: str, name: str = "", role: Any = "layer"
) -> list[Series]:
    """Return one column by epoch for each chosen layer that has numbers there."""
    if column not in rows:
        return []
    held = rows.assign(value=pd.to_numeric(rows[column])).dropna(subset=["value"])
    found = []
    for layer in dict.fromkeys(chosen):
        own = held[held["layer"] == layer].drop_duplicates("epoch").sort_values("epoch")
        if not own.empty:
            keep = _evenly(len(own))
            x, y = own["epoch"].to_numpy(float)[keep], own["value"].to_numpy(float)[keep]
            found.append(Series(name or layer, x, y, role))
    return found


def _evenly(length: int) -> np.ndarray:
    """Return at most 256 positions at equal distances, with both ends."""
    return np.unique(np.linspace(0, length - 1, min(length, MOST_POINTS)).round().astype(int))


def _positive(series: Series) -> Series:
    y = np.where(series.y > 0, series.y, np.nan)
    return Series(series.name, series.x, y, series.role)


def _by_epoch(
    rows: pd.DataFrame, title: str, caption: str, y: Axis, series: Sequence[Series]
) -> Figure:
    """Return curves over epochs, with the switch where there is one."""
    last = float(pd.to_numeric(rows["epoch"]).max())
    switch = pd.to_numeric(rows["model_switch_epoch"]).max()
    marks: tuple[Mark, ...] = ()
    if quantities.known(switch):
        marks = (Mark("x", float(switch), f"switch E = {int(switch)}", "optimal"),)
        last = max(last, float(switch))
    words = "checkpoint, counted from 0" if spacing(rows) else "epoch"
    return Figure(
        title, caption, Axis(words, low=0.0, high=max(last, 1.0)), y, tuple(series), marks
    )
