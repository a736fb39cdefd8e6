"""Stable-rank convergence: the curves of the first layers, and when the detector decided."""

from app.plots import stable_rank as plots
from app.plots.figure import Figure
from app.shown import Shown

SHOWN_FIRST = 4
COLUMNS = ("layer", "epoch", "stable_rank", "smoothed", "drift", "rank")


def figures(shown: Shown) -> list[Figure]:
    """Return the figures of the first layers, as the page draws them."""
    if "epoch" not in shown.rows or shown.rows["epoch"].notna().sum() == 0:
        return []
    rows = shown.rows[shown.rows["epoch"].notna()]
    rows = rows.assign(layer=rows["layer"].astype(str))
    chosen = plots.layers(rows)[:SHOWN_FIRST]
    found = [
        plots.over_epochs(rows, chosen),
        plots.drift(rows, chosen),
        plots.loss(rows),
        plots.gradients(rows, chosen),
    ]
    return [figure for figure in found if figure is not None]
