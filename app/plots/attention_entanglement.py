"""Entropy of attention matrices against the length of the text, and its slopes by head."""

from collections.abc import Collection
from html import escape

import numpy as np
import pandas as pd

from app import quantities
from app.plots.figure import Axis, Cells, Figure, Scale, Series

OVERLAYS = {
    "maximum": "Maximum ln T",
    "uniform": "Uniform attention",
    "estimate": "Estimate for Gaussian logits",
}
DEFAULT_OVERLAYS = ("maximum", "uniform")
ROLES = {"maximum": "edge", "uniform": "noise", "estimate": "optimal"}
MEAN = "mean over heads"
STEEPEST = float(np.log(2))  # ln T grows by this per octave
BITS = STEEPEST
MOST_CELLS = 128
APART = 0.06  # of an octave, so that whiskers do not cover each other


def per_head(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of single heads: the others are means over a block's heads."""
    return rows[pd.to_numeric(rows["head"], errors="coerce").notna()]


def of_head(rows: pd.DataFrame, layer: str, head: int | None) -> pd.DataFrame:
    """Return one head's rows, or with None its block's means, by length."""
    number = pd.to_numeric(rows["head"], errors="coerce")
    wanted = number.isna() if head is None else number.eq(head)
    return rows[rows["layer"].eq(layer) & wanted].sort_values("length")


def against_length(
    rows: pd.DataFrame, layer: str, heads: Collection[int], overlays: Collection[str], unit: str
) -> Figure:
    """Return S(T) of a block's mean, or of some of its heads, with 95 % intervals.

    `overlays` are keys of `OVERLAYS`, drawn as they are for the first curve; `unit` is "nats" or
    "bits".
    """
    scale = BITS if unit == "bits" else 1.0
    chosen: list[int | None] = [*heads] or [None]
    tables = {_named(head): of_head(rows, layer, head) for head in chosen}
    series = [
        _points(name, table, scale, APART * (i - (len(tables) - 1) / 2))
        for i, (name, table) in enumerate(tables.items())
        if len(table)
    ]
    first = next(iter(tables.values()))
    series += [
        Series(
            OVERLAYS[name],
            np.arange(float(len(first))),
            first[name].to_numpy(float) / scale,
            ROLES[name],
        )  # type: ignore[arg-type]
        for name in OVERLAYS
        if name in overlays and len(first)
    ]
    return Figure(
        title=f"Entropy against the length · {layer}",
        caption="Entropy of the attention matrix over its row|column cut, mean and 95 % interval "
        "over windows of text. A straight line grows by the same number of "
        f"{unit} with every doubling of the text; it would be flat for an area law.",
        x=Axis("tokens T, each step a doubling", names=tuple(map(str, first["length"]))),
        y=Axis(f"entropy S ({unit})"),
        series=tuple(series),
    )


def slopes(rows: pd.DataFrame, unit: str) -> Figure | None:
    """Return a map of the slope per octave, blocks by heads; None where no slope is known."""
    heads = per_head(rows)
    heads = heads[pd.to_numeric(heads["slope"], errors="coerce").notna()]
    if heads.empty:
        return None
    heads = heads.drop_duplicates(["layer", "head"])
    layers = list(dict.fromkeys(heads["layer"]))[:MOST_CELLS]
    numbers = sorted({int(head) for head in heads["head"]})[:MOST_CELLS]
    shape = (len(layers), len(numbers))
    colour = np.full(shape, np.nan)
    text, names, hover = (np.full(shape, "", dtype=object) for _ in range(3))
    scale = BITS if unit == "bits" else 1.0
    for row in heads.to_dict("records"):
        if row["layer"] not in layers or int(row["head"]) not in numbers:
            continue
        at = layers.index(row["layer"]), numbers.index(int(row["head"]))
        colour[at] = row["slope"] / scale
        text[at], names[at] = f"{row['slope'] / scale:.2f}", row["layer"]
        hover[at] = _hover(row, scale, unit)
    reach = max(float(np.nanmax(np.abs(colour))), 1e-3)
    ticks = tuple((t, f"{t:+.2f}" if t else "0") for t in np.linspace(-reach, reach, 5))
    return Figure(
        title="Slope by block and head",
        caption=f"Growth of the entropy per doubling of the text, in {unit}. Blue: it grows; "
        f"orange: it shrinks. The maximum ln T grows by {STEEPEST / scale:.2f}; a head far below "
        "it can grow faster for a while.",
        x=Axis("head", names=tuple(str(number) for number in numbers)),
        y=Axis("", names=tuple(layers)),
        cells=Cells(colour, text, names, hover, Scale("diverging", -reach, reach, ticks)),
    )


def slope_of(table: pd.DataFrame, column: str) -> float:
    """Return the least-squares slope per octave of one column of one head's rows, nats."""
    x, y = np.log2(table["length"].to_numpy(float)), table[column].to_numpy(float)
    if len(x) < 2:
        return float("nan")
    return float(np.polyfit(x, y, 1)[0])


def _points(name: str, table: pd.DataFrame, scale: float, aside: float) -> Series:
    """Return one head's points, a little aside of the others', with whiskers where known."""
    x = np.arange(float(len(table))) + aside
    low, high = (
        pd.to_numeric(table[f"entropy_{end}"], errors="coerce").to_numpy(float) / scale
        for end in ("low", "high")
    )
    y = table["entropy"].to_numpy(float) / scale
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        return Series(name, x, y, kind="points")
    return Series(name, x, y, kind="points", lower=low, upper=high)


def _named(head: int | None) -> str:
    return MEAN if head is None else f"head {head}"


def _hover(row: dict[str, object], scale: float, unit: str) -> str:
    ends = [row["slope_low"], row["slope_high"]]
    between = " to ".join(
        f"{float(end) / scale:.3f}" if quantities.known(end) else quantities.NOT_KNOWN
        for end in ends  # type: ignore[arg-type]
    )
    head = f"<b>{escape(str(row['layer']))}, head {int(row['head'])}</b>"  # type: ignore[call-overload]
    return f"{head}<br>{float(row['slope']) / scale:.3f} {unit} per octave<br>95 %: {between}"  # type: ignore[arg-type]
