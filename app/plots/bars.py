"""One number by layer: what an analysis without a view of its own is drawn as."""

import numpy as np
import pandas as pd

from app.plots.figure import MOST_POINTS, Axis, Figure, Series


def by_layer(results: pd.DataFrame, column: str, title: str) -> Figure:
    """Return bars of one numeric column in the order of the layers, the first 256 of them."""
    shown = results[pd.to_numeric(results[column], errors="coerce").notna()].head(MOST_POINTS)
    left = len(results) - len(shown)
    caption = f"{title} of each layer."
    if left:
        caption += f" {left} without a value or beyond the first {MOST_POINTS} are in the table."
    # An analysis of a whole model names the layer in a column of its own.
    names = tuple(shown["layer" if "layer" in shown else "label"].astype(str))
    values = shown[column].to_numpy(float)
    return Figure(
        title=f"{title} by layer",
        caption=caption,
        x=Axis("layer", names=names),
        y=Axis(title),
        series=(Series(title, np.arange(len(names)), values, "layer", "bars"),),
    )
