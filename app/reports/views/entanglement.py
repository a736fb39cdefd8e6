"""Entanglement: the cuts of the layer with the most structure, then one number of every layer."""

import pandas as pd

from app.plots import entanglement as plots
from app.plots.figure import Figure
from app.shown import Shown

COLUMNS = ("label", "deficit", "deficit_factor", "entropy_row_column", "valley_depth",
           "beyond_spectrum", "beyond_spectrum_deviations")  # fmt: skip
BY_LAYER = ("deficit", "beyond_spectrum_deviations")


def figures(shown: Shown) -> list[Figure]:
    """Return the cuts of the layer with the largest deficit, and the bars of all layers."""
    rows = plots.measured(shown.rows)
    if rows.empty:
        return []
    most = pd.to_numeric(rows["deficit"], errors="coerce").fillna(float("-inf")).idxmax()
    row = rows.loc[most].to_dict()
    name = str(row["label"])
    found = [plots.over_cuts(name, row, "nats"), plots.beyond(name, row, "nats")]
    there = [column for column in BY_LAYER if rows[column].notna().any()]
    found += [plots.by_layer(rows, column, "nats") for column in there]
    return [figure for figure in found if figure is not None]
