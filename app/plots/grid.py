"""The profile as maps of cells: blocks by module types, the layers outside them, convolutions."""

import math
from collections.abc import Iterable
from html import escape

import numpy as np
import pandas as pd

from app import quantities
from app.plots.figure import Axis, Cells, Figure, Scale
from app.plots.metric import Metric, sentence, values, written

# The order in which a block computes them; others follow by name.
MODULE_ORDER = ("q", "k", "v", "qkv", "kv", "o", "gate", "up", "gate_up", "down", "fc1", "fc2")
RATIO_TICKS = (
    1e-6, 1e-5, 1e-4, 1e-3, 1 / 100, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5,
    2, 4, 8, 16, 100, 1e3, 1e4, 1e5, 1e6,
)  # fmt: skip
WHOLE = ("whole", "flattened")
RATIOS = ("noise", "ratio")  # scales around 1, whose colours are even in the logarithm
VIEWS = {"whole": "whole matrices", "heads": "heads", "slices": "kernel slices"}


def prepared(profile: pd.DataFrame, metric: Metric, scale: str) -> pd.DataFrame:
    """Return one row per layer: where its cell lies, its value, its text and its hover."""
    found = values(profile, metric, scale)
    table = profile[["layer", "block", "module", "view", "kind"]].copy()
    table["row"] = _row_names(profile)
    table["value"] = found
    status = profile["status"].fillna("").astype(str)
    table["text"] = [
        written(value, scale) if quantities.known(value) else _state_word(state)
        for value, state in zip(found, status, strict=True)
    ]
    table["hover"] = [
        _hover(row, metric, value, scale)
        for row, value in zip(profile.to_dict("records"), found, strict=True)
    ]
    return table


def of_views(profile: pd.DataFrame, wanted: str) -> pd.DataFrame:
    """Return the layers of a profile that are a key of `VIEWS`."""
    return profile[[_kind_of_view(view) == wanted for view in profile["view"]]]


def views(profile: pd.DataFrame) -> list[str]:
    """Return the keys of `VIEWS` that a profile has layers of, whole matrices first."""
    found = {_kind_of_view(view) for view in profile["view"]}
    return [name for name in VIEWS if name in found]


def _kind_of_view(view: str) -> str:
    word = view.partition(" ")[0]
    return {"head": "heads", "slice": "slices"}.get(word, "whole")


def coloured_by(tables: Iterable[pd.DataFrame]) -> np.ndarray:
    """Return the values that colours are spread over: those in blocks, or all where none is.

    An embedding often lies so far out that the blocks would all look alike beside it.
    """
    shown = pd.concat(list(tables))
    inside = shown[shown["block"].notna()]
    found = inside if inside["value"].notna().any() else shown
    return found["value"].to_numpy(float)


def decimals(found: np.ndarray) -> int:
    """Return how many decimals show two digits of the largest number, for all of a map."""
    largest = float(np.abs(found[np.isfinite(found)]).max(initial=0.0))
    return max(0, 1 - math.floor(math.log10(largest))) if largest > 0 else 0


def maps(
    table: pd.DataFrame, metric: Metric, scale: str, colours: Scale, words: str = ""
) -> list[Figure]:
    """Return the grid of blocks and a strip of what lies outside them; or the convolutions' grid.

    `scale` is a key of `metric.SCALES`, "difference" or "ratio"; `colours` are of `colour_scale`;
    `words` stand in place of the metric's own sentence.
    """
    inside = table[table["block"].notna()]
    words = words or sentence(metric, scale)
    if inside.empty:
        return [_by_name(table, metric, scale, colours, words)]
    blocks = sorted(inside["block"].astype(int).unique())
    placed = inside.assign(column=inside["block"].astype(int).astype(str))
    rows = sorted(placed["row"].unique(), key=_module_rank)
    figures = [_figure(placed, rows, [str(b) for b in blocks], metric, scale, colours, words)]
    outside = table[table["block"].isna()]
    if not outside.empty:
        figures.append(_strip(outside, metric, scale, colours, words))
    return figures


def colour_scale(found: np.ndarray, scale: str) -> Scale:
    """Return the colours for these values: ratios are coloured by log2, differences evenly."""
    shown = found[np.isfinite(found)]
    if scale in RATIOS:
        reach = max([abs(math.log2(v)) for v in shown if v > 0] + [math.log2(1.1)])
        ticks = _apart(
            [(math.log2(t), f"{t:.2g}" if t < 100 else f"{t:.0f}") for t in RATIO_TICKS], reach
        )
        return Scale("diverging", -reach, reach, ticks, log2=True)
    if scale == "difference":
        reach = float(max(np.abs(shown), default=0.0)) or 1.0
        digits = decimals(shown)
        ticks = tuple((t, f"{t:+.{digits}f}" if t else "0") for t in np.linspace(-reach, reach, 5))
        return Scale("diverging", -reach, reach, ticks)
    low, high = (float(shown.min()), float(shown.max())) if shown.size else (0.0, 1.0)
    if high - low < 1e-12 * max(abs(high), 1e-300):
        low, high = low - 0.5, high + 0.5
    ticks = tuple((float(t), written(float(t), scale)) for t in np.linspace(low, high, 5))
    return Scale("sequential", low, high, ticks)


def _apart(ticks: list[tuple[float, str]], reach: float) -> tuple[tuple[float, str], ...]:
    """Keep the ticks within reach that stand apart, the middle always."""
    kept = [(0.0, "1")]
    for at, text in sorted(ticks, key=lambda tick: -abs(tick[0])):
        if abs(at) <= reach and all(abs(at - other) > reach / 4 for other, _ in kept):
            kept.append((at, text))
    return tuple(sorted(kept))


def _by_name(table: pd.DataFrame, metric: Metric, scale: str, colours: Scale, words: str) -> Figure:
    """Rows are layer names and columns views: for networks without numbered blocks."""
    names = table["layer"].str.replace(r"\[.*\]$", "", regex=True)
    views = ["whole matrix" if view in WHOLE else view for view in table["view"]]
    placed = table.assign(row=names, column=views)
    rows, columns = list(dict.fromkeys(names)), list(dict.fromkeys(views))
    across = "view" if len(columns) > 1 else ""
    return _figure(placed, rows, columns, metric, scale, colours, words, across)


def _strip(table: pd.DataFrame, metric: Metric, scale: str, colours: Scale, words: str) -> Figure:
    placed = table.assign(row="outside", column=table["layer"])
    names = list(placed["column"])
    return _figure(placed, ["outside"], names, metric, scale, colours, words, across="")


def _figure(  # noqa: PLR0913  a grid has two axes, a quantity and its colours
    table: pd.DataFrame, rows: list[str], columns: list[str], metric: Metric, scale: str,
    colours: Scale, words: str, across: str = "block",
) -> Figure:  # fmt: skip
    row_of = {name: i for i, name in enumerate(rows)}
    column_of = {name: i for i, name in enumerate(columns)}
    colour = np.full((len(rows), len(columns)), np.nan)
    text, names, hover = (np.full(colour.shape, "", dtype=object) for _ in range(3))
    for cell in table.itertuples():
        at = row_of[cell.row], column_of[cell.column]
        colour[at] = _coloured(cell.value, scale)
        text[at], names[at], hover[at] = cell.text, cell.layer, cell.hover
    by = "block and module" if across == "block" else "layer"
    return Figure(
        title=f"{metric.title} by {by}",
        caption=words,
        x=Axis(across, names=tuple(columns)),
        y=Axis("", names=tuple(rows)),
        cells=Cells(colour, text, names, hover, colours),
    )


def _coloured(value: float, scale: str) -> float:
    if not quantities.known(value):
        return math.nan
    if scale in RATIOS:
        return math.log2(value) if value > 0 else math.nan
    return float(value)


def _row_names(profile: pd.DataFrame) -> list[str]:
    """Return each layer's row: its module, with the view where that is not the whole or a part.

    Two layers of one block that would share a row keep their own names apart.
    """
    names = [
        module if view in WHOLE or view == f"part {module}" else f"{module} · {view}"
        for module, view in zip(profile["module"], profile["view"], strict=True)
    ]
    table = pd.DataFrame({"row": names, "block": profile["block"].to_numpy()})
    doubled = table.duplicated(keep=False) & table["block"].notna()
    tails = profile["layer"].str.replace(r"^\D*\d+\.", "", regex=True)
    return [
        tail if twice else name for name, tail, twice in zip(names, tails, doubled, strict=True)
    ]


def _module_rank(row: str) -> tuple[int, str]:
    module, _, view = row.partition(" · ")
    known = MODULE_ORDER.index(module) if module in MODULE_ORDER else len(MODULE_ORDER)
    return known, f"{module} {view.rjust(12)}"


def _state_word(status: str) -> str:
    return status if status in ("failed", "zero", "skipped") else quantities.NOT_KNOWN


def _hover(row: dict[str, object], metric: Metric, value: float, scale: str) -> str:
    head = f"<b>{escape(str(row['layer']))}</b><br>{quantities.shape((row['rows'], row['cols']))}"
    if not quantities.known(value):
        return f"{head}<br>{escape(str(row.get('message') or 'no value'))}"
    line = f"{head}<br>{metric.title}: {quantities.digits(row[metric.name])}"
    if scale == "absolute":
        return line
    words = "of full rank" if scale == "full" else "of noise of this shape"
    return f"{line}<br>{written(value, scale)} {words}"
