"""Attention entanglement: the first block's growth with the text, and the slopes of all heads."""

from app.plots import attention_entanglement as plots
from app.plots.figure import Figure
from app.shown import Shown

COLUMNS = ("layer", "head", "length", "entropy", "slope", "slope_low", "slope_high")


def figures(shown: Shown) -> list[Figure]:
    """Return the mean over heads of the first block against the length, and the map of slopes."""
    if "entropy" not in shown.rows:
        return []
    rows = shown.rows[shown.rows["entropy"].notna()]
    if rows.empty:
        return []
    rows = rows.assign(layer=rows["layer"].astype(str))
    first = rows["layer"].iloc[0]
    found = [
        plots.against_length(rows, first, [], plots.DEFAULT_OVERLAYS, "nats"),
        plots.slopes(rows, "nats"),
    ]
    return [figure for figure in found if figure is not None]
