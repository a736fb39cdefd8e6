"""TensorLens: the map of the first span, the deletion test, the sources span by span."""

import json
from typing import Any

import numpy as np

from app import quantities
from app.plots import tensorlens as plots
from app.plots.figure import Figure
from app.shown import Shown

COLUMNS = ("span", "window", "target", "residual", "logit_residual", "back", "over_random")


def figures(shown: Shown) -> list[Figure]:
    """Return what the page draws at first."""
    cells = shown.rows.get("share", [])
    rows = shown.rows[[_is_there(cell) for cell in cells]]
    if rows.empty:
        return []
    first = rows.iloc[0].to_dict()
    values = np.asarray(shown.array(first["share"]), float)
    column = plots.WHATS["share"].bias
    bias = np.asarray(first[column], float) if _is_there(first.get(column)) else None
    causal = quantities.known(first["back"]) and first["back"] == 0
    tokens = json.loads(first["tokens"])
    found = [plots.token_map(values, bias, tokens, "share", causal=causal)]
    if _is_there(first.get("drop_contributions")):
        found.append(plots.deletion(first))
    beside = rows[rows["span"].ne(rows["span"].iloc[0])]
    if len(beside) > 1:
        shares = [np.asarray(shown.array(cell), float) for cell in beside["share"]]
        found.append(plots.by_span(beside, shares))
    return found


def _is_there(cell: Any) -> bool:
    """Return whether a cell holds something (None and NaN are nothing)."""
    return cell is not None and not (isinstance(cell, float) and np.isnan(cell))
