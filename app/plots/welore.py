"""WeLore: what each layer loses at one threshold, and what the threshold does to the model."""

import numpy as np
import pandas as pd

from app.plots.figure import MOST_POINTS, Axis, Figure, Mark, Series

CLASSES = {"LRC": "layer", "N-LRC": "noise"}  # low-rank components, and the others


def by_layer(found: pd.DataFrame, cutoff: float, threshold: float) -> Figure:
    """Return the rank reduction of each layer, low-rank ones apart, with the cutoff as a line."""
    shown = found[found["classification"].isin(CLASSES)].head(MOST_POINTS)
    names = tuple(shown["layer"].astype(str))
    series = [
        Series(name, at.to_numpy(float), part["reduction"].to_numpy(float), role, "bars")
        for name, role in CLASSES.items()
        for part in [shown.assign(at=np.arange(len(shown)))[shown["classification"].eq(name)]]
        for at in [part["at"]]
        if len(part)
    ]
    lost = int((shown["classification"] == "LRC").sum())
    return Figure(
        title="Rank reduction by layer",
        caption=f"Share of each layer's directions with s̃ below τ = {threshold:.4g}. {lost} of "
        f"{len(shown)} layers are low-rank components (LRC); the others stay dense (N-LRC)."
        + (f" The first {MOST_POINTS} are drawn." if len(found) > MOST_POINTS else ""),
        x=Axis("layer", names=names),
        y=Axis("share of rank pruned", low=0.0, high=1.0),
        series=tuple(series),
        marks=(Mark("y", cutoff, "cutoff", "welore"),),
    )


def spread(scaled: list[np.ndarray], threshold: float) -> Figure:
    """Return how the pooled s̃ of all layers are spread: the share pruned at every threshold."""
    pooled = np.sort(np.concatenate(scaled))
    at = np.linspace(0.0, 1.0, MOST_POINTS)
    share = np.searchsorted(pooled, at, side="left") / len(pooled)
    return Figure(
        title="Share of all ranks below a threshold",
        caption="All normalised singular values s̃ of the layers that take part, pooled: the curve "
        "is the rank cut that each threshold makes.",
        x=Axis("threshold τ", low=0.0, high=1.0),
        y=Axis("share of all ranks", low=0.0, high=1.0),
        series=(Series("pruned", at, share),),
        marks=(Mark("x", threshold, "τ", "welore"),),
    )
