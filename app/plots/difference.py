"""Two models' cells in one map: what the first has more or less of than the second, place by place.

Both tables come from `grid.prepared` and stand in the order of the same places, with an empty row
where a model has no layer; then the place is shown and says so.
"""

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from app import quantities
from app.plots import grid, metric
from app.plots.metric import Metric

MINUS = "\N{MINUS SIGN}"
WAYS = {"difference": f"A {MINUS} B", "ratio": "A / B, log colours"}


def ways(chosen: Metric) -> list[str]:
    """Return the keys of WAYS that a metric can be compared by, the natural one first.

    Norms have the scale of the weights: their ratio says more than their difference. An exponent
    has no meaningful ratio.
    """
    if chosen.kind == "norm":
        return ["ratio", "difference"]
    return ["difference"] if chosen.kind == "exponent" else ["difference", "ratio"]


def values(first: np.ndarray, second: np.ndarray, way: str) -> np.ndarray:
    """Return first - second, or first / second, NaN where either is unknown or the ratio is none.

    A ratio is that of two positive numbers.
    """
    if way == "difference":
        return np.asarray(first - second)
    possible = (first > 0) & (second > 0)
    return np.where(possible, first / np.where(possible, second, 1.0), np.nan)


def cells(
    places: pd.DataFrame, pair: tuple[pd.DataFrame, pd.DataFrame], names: tuple[str, str],
    way: str, scale: str,
) -> pd.DataFrame:  # fmt: skip
    """Return a prepared table, as `grid.maps` draws it, of two prepared ones.

    `places` has layer, block, module and view; `way` is a key of WAYS, `scale` of metric.SCALES.
    """
    first, second = pair
    table = places[["layer", "block", "module", "view"]].copy()
    for name in ("kind", "row"):
        table[name] = first[name].where(first[name].notna(), second[name])
    table["value"] = values(first["value"].to_numpy(float), second["value"].to_numpy(float), way)
    decimals = grid.decimals(grid.coloured_by([table]))
    sides = list(zip(first.to_dict("records"), second.to_dict("records"), strict=True))
    told = [_written(value, way, decimals) for value in table["value"]]
    table["text"] = [
        text or _short(ours, theirs, names)
        for text, (ours, theirs) in zip(told, sides, strict=True)
    ]
    table["hover"] = [
        _hover(ours, theirs, names, (text, way, scale))
        for text, (ours, theirs) in zip(told, sides, strict=True)
    ]
    return table


def sentence(chosen: Metric, scale: str, way: str, names: tuple[str, str]) -> str:
    """Return the sentence under the map: of what, in which units, and what blue says."""
    if way == "difference":
        return metric.difference_sentence(chosen, scale, names)
    first, second = names
    return (
        f"{chosen.title}: {first} over {second}. Colours are even in the logarithm: 1 is equal, "
        f"blue: {first} has more."
    )


def _written(value: float, way: str, decimals: int) -> str:
    if not quantities.known(value):
        return ""
    return f"{value:+z.{decimals}f}" if way == "difference" else quantities.digits(value)


def _there(row: Mapping[str, Any]) -> bool:
    """Return whether a model has a layer in this place."""
    return isinstance(row["layer"], str)


def _short(ours: Mapping[str, Any], theirs: Mapping[str, Any], names: tuple[str, str]) -> str:
    """Return what stands in a cell without a difference: the one model that has the layer."""
    if _there(ours) and _there(theirs):
        return quantities.NOT_KNOWN
    only = names[0] if _there(ours) else names[1]
    return f"{only} only" if len(only) <= len("A") else quantities.NOT_KNOWN


def _hover(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], names: tuple[str, str],
    told: tuple[str, str, str],
) -> str:  # fmt: skip
    text, way, scale = told
    lines = []
    for name, row in zip(names, (ours, theirs), strict=True):
        layer = f"<b>{escape(str(row['layer']))}</b>" if _there(row) else "has no such layer"
        value = ""
        if _there(row):
            known = quantities.known(row["value"])
            value = metric.written(row["value"], scale) if known else f"no value ({row['text']})"
            value = f": {escape(value)}"
        lines.append(f"{escape(name)} · {layer}{value}")
    if text:
        words = " minus " if way == "difference" else " over "
        lines.append(f"{escape(words.join(names))}: {text}")
    return "<br>".join(lines)
