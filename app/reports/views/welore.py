"""WeLore: the classes of the layers, and what every threshold would prune."""

import json

from app.plots import welore
from app.plots.figure import Figure
from app.shown import Shown
from jobs import thresholds

COLUMNS = ("layer", "classification", "reduction", "rank", "full_rank", "parameters",
           "applied_parameters", "reason")  # fmt: skip


def figures(shown: Shown) -> list[Figure]:
    """Return the figures at the job's own threshold."""
    rows = shown.rows[shown.rows["classification"].isin(welore.CLASSES)]
    if rows.empty:
        return []
    at, cutoff = float(rows["threshold"].iloc[0]), _cutoff(shown)
    layers = list(rows["layer"].astype(str))
    stored = thresholds.scaled_spectra(shown.client.store, shown.job["model"], layers)
    drawn = [welore.by_layer(rows, cutoff, at)]
    return [*drawn, welore.spread(list(stored["scaled"]), at)] if len(stored) else drawn


def _cutoff(shown: Shown) -> float:
    declared = {field["name"]: field.get("default") for field in shown.declared["params"]}
    asked = json.loads(shown.job["params"] or "{}")
    return float({**declared, **asked}["cutoff"])
