"""Activations by depth, the key/value cache by head, and one layer's spectra and where it acts."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from app import quantities
from app.plots.figure import Axis, Cells, Figure, Mark, Scale, Series, thin

# What is counted: its words, and what the sentence under the figure says of it.
MEASURES = {
    "dimension": ("effective dimension", "(Σλ)²/Σλ² of the second moment"),
    "effective_rank": ("effective rank", "exp of the entropy of λ/Σλ of the second moment"),
    "95": ("directions for 95 %", "the directions that hold 95 % of the energy"),
    "99": ("directions for 99 %", "the directions that hold 99 % of the energy"),
}
SIDES = {"input": "Inputs", "output": "Outputs"}
LEVELS = {"95": "95 % of the energy", "99": "99 % of the energy"}
CACHED = {"k": "keys", "v": "values"}
# Layers that read one input where they stand side by side.
READERS = (("q", "k", "v", "qkv"), ("cross_k", "cross_v", "cross_kv"), ("gate", "up", "gate_up"))
MOST_LINES = 7  # whose colours can be told apart
MOST_CELLS = 128
LEAST_DRAWN = 1e-9  # of all energy


@dataclass(frozen=True)
class Totals:
    """Numbers of the whole model; None where nothing is known."""

    cache: dict[str, float | None]  # bytes for a token by level, and "full"
    dimension: float | None  # median over layers of the input's effective dimension
    share: float | None  # median of the same over the input's width
    layers: int
    tokens: int | None  # least of all layers
    tokens_by_input: float | None


def measured(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that have numbers: a layer that no token reached has none."""
    if "input_dimension" not in rows or "layer" not in rows:
        return rows.head(0)
    return rows[rows["input_dimension"].notna()]


def whole(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of whole layers: the others are heads."""
    return rows[_number(rows, "head").isna()]


def totals(rows: pd.DataFrame) -> Totals:
    """Return the numbers of the whole model, from the rows of whole layers."""
    layers = whole(rows)
    dimension = _number(layers, "input_dimension")
    cache = {level: _number(layers, f"cache_bytes_{level}") for level in (*LEVELS, "full")}
    return Totals(
        cache={n: float(c.sum()) if c.notna().any() else None for n, c in cache.items()},
        dimension=_known(dimension.median()),
        share=_known((dimension / _number(layers, "cols")).median()),
        layers=int(dimension.notna().sum()),
        tokens=_known(_number(layers, "tokens").min()),  # type: ignore[arg-type]
        tokens_by_input=_known(_number(layers, "tokens_by_input").min()),
    )


def by_depth(rows: pd.DataFrame, side: str, measure: str, *, share: bool) -> Figure | None:
    """Return lines of a key of `MEASURES` over the blocks; None where no layer is in a block.

    Of layers that read one input there is one line; of several of one name in a block, such as
    experts, the mean.
    """
    column, width = f"{side}_{measure}", "cols" if side == "input" else "rows"
    layers = whole(rows)
    layers = layers.assign(
        at=_number(layers, "block"),
        line=_lines(layers, side),
        value=_number(layers, column) / (_number(layers, width) if share else 1.0),
    ).dropna(subset=["at", "value"])
    if layers.empty:
        return None
    means = layers.groupby(["line", "at"])["value"].mean()
    names = list(dict.fromkeys(layers["line"]))
    series = [
        Series(name, means[name].index.to_numpy(float), means[name].to_numpy(float), kind="joined")
        for name in names[:MOST_LINES]
    ]
    words, about = MEASURES[measure]
    left = ", ".join(names[MOST_LINES:])
    return Figure(
        title=f"{words[0].upper()}{words[1:]} of {SIDES[side].lower()} by depth",
        caption=f"How many directions the {SIDES[side].lower()} of layers use: {about}, which is "
        "not centred, so that a constant part counts as a direction too."
        + (f" Not drawn: {left}." if left else ""),
        x=Axis("block", ticks=tuple((at, f"{at:g}") for at in sorted(set(layers["at"])))),
        y=Axis("share of width" if share else "directions", low=0.0, high=_top(series)),
        series=tuple(series),
    )


def cache_map(rows: pd.DataFrame, level: str) -> Figure | None:
    """Return a map of the directions that keys and values need, heads by blocks; None without."""
    found = of_cache(rows)
    found = found[_number(found, f"output_{level}").notna() & _number(found, "block").notna()]
    if found.empty:
        return None
    names = sorted(set(found["part"]), key=_in_order)[:MOST_CELLS]
    blocks = sorted({int(block) for block in found["block"]})[:MOST_CELLS]
    colour = np.full((len(names), len(blocks)), np.nan)
    text, opened, hover = (np.full(colour.shape, "", dtype=object) for _ in range(3))
    for row in found.to_dict("records"):
        if row["part"] not in names or int(row["block"]) not in blocks:
            continue
        at = names.index(row["part"]), blocks.index(int(row["block"]))
        colour[at] = row[f"output_{level}"] / row["rows"]
        text[at], opened[at] = str(int(row[f"output_{level}"])), row["name"]
        hover[at] = _hover(row)
    ticks = tuple((t, f"{100 * t:.0f} %") for t in (0.0, 0.25, 0.5, 0.75, 1.0))
    return Figure(
        title=f"Directions of keys and values for {LEVELS[level]}",
        caption="In each cell the directions that one head's keys or values need; the colour is "
        "their share of its numbers: paler means fewer.",
        x=Axis("block", names=tuple(map(str, blocks))),
        y=Axis("", names=tuple(names)),
        cells=Cells(colour, text, opened, hover, Scale("sequential", 0.0, 1.0, ticks)),
    )


def of_cache(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of single heads of keys and values, or of whole layers without heads.

    With two columns more: `part` ("k 0", ...) and `name` ("blocks.0.k[head 0]", ...).
    """
    found = rows[rows["module"].isin(list(CACHED))]
    head = _number(found, "head")
    split = set(found.loc[head.notna(), "layer"])
    found = found[head.notna() | ~found["layer"].isin(split)]
    head = _number(found, "head")
    parts = [
        module if np.isnan(h) else f"{module} {int(h)}"
        for module, h in zip(found["module"], head, strict=True)
    ]
    return found.assign(part=parts, name=names_of(found))


def names_of(rows: pd.DataFrame) -> list[str]:
    """Return what each row is called: "blocks.0.k", "blocks.0.k[head 1]"."""
    return [
        str(layer) if np.isnan(head) else f"{layer}[head {int(head)}]"
        for layer, head in zip(rows["layer"], _number(rows, "head"), strict=True)
    ]


def spectra(name: str, row: Mapping[str, Any], inputs: Any) -> Figure:
    """Return the input's and the output's eigenvalues, each over their sum, by index."""
    found = {"input": inputs, "output": row["output_values"]}
    series = [_spectrum(words, values) for words, values in found.items() if _is_list(values)]
    lowest = min((float(s.y.min()) for s in series), default=LEAST_DRAWN)
    marks = [
        Mark("x", float(row[f"{side}_95"]), f"95 % of {side} = {int(row[f'{side}_95'])}", "energy")
        for side in SIDES
        if quantities.known(row.get(f"{side}_95"))
    ]
    return Figure(
        title=f"Spectra of activations · {name}",
        caption="Share of the energy that each direction of the input and of the output holds, "
        "from the largest; directions without any are not drawn.",
        x=Axis("direction"),
        y=Axis("share of energy", log=True, low=lowest / 2, high=2.0),
        series=tuple(series),
        marks=tuple(marks),
        words="bottom",
    )


def acts(name: str, row: Mapping[str, Any], inputs: Any) -> Figure | None:
    """Return which share of W lies in the input's k leading directions; None where not known."""
    if not _is_list(row.get("acts")):
        return None
    at, width = np.asarray(row["acts_at"], float), float(row["cols"])
    series = [Series("W", at, np.asarray(row["acts"], float))]
    if _is_list(inputs):
        held = np.cumsum(np.asarray(inputs, float))
        series.append(Series("energy of the input", at, held[at.astype(int) - 1] / held[-1], "fit"))
    series.append(Series("chance", at, at / width, "noise"))
    inside = int(row["input_95"])
    return Figure(
        title=f"Where W acts · {name}",
        caption=f"{quantities.percent(row['acts_95'])} of W lies in the {inside} directions that "
        f"hold 95 % of its input, by chance {quantities.percent(row['acts_95_chance'])}: above the "
        "diagonal W acts on what its input is full of, below it on what is rare there.",
        x=Axis("leading directions k of the input"),
        y=Axis("cumulative share", low=0.0, high=1.04),
        series=tuple(series),
        marks=(Mark("x", float(inside), f"95 % of input = {inside}", "energy"),),
        words="bottom",
    )


def _spectrum(name: str, values: Any) -> Series:
    shares = np.asarray(values, float)
    shares = shares / shares.sum()
    drawn = thin(int((shares > LEAST_DRAWN).sum()))
    return Series(name, drawn + 1.0, shares[drawn])


def _lines(layers: pd.DataFrame, side: str) -> list[str]:
    """Return the line that each layer is part of: inputs go by those that read the same one."""
    present = set(layers["module"])
    joined = {
        name: ", ".join(n for n in group if n in present)
        for group in READERS
        for name in group
        if side == "input"
    }
    return [f"{side} of {joined.get(name, name)}" for name in layers["module"]]


def _in_order(part: str) -> tuple[str, int]:
    module, _, head = part.partition(" ")
    return module, int(head or 0)


def _hover(row: Mapping[str, Any]) -> str:
    said = [f"<b>{escape(str(row['name']))}</b>"]
    for level, words in LEVELS.items():
        said.append(f"{words}: {int(row[f'output_{level}'])} of {int(row['rows'])} directions")
    said.append(f"effective dimension {quantities.digits(row['output_dimension'])}")
    return "<br>".join(said)


def _top(series: list[Series]) -> float:
    return 1.08 * max(float(s.y.max()) for s in series)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | np.ndarray) and len(value) > 0


def _known(value: Any) -> Any:
    return value if quantities.known(value) else None


def _number(rows: pd.DataFrame, name: str) -> pd.Series:
    """Return a column as numbers; one that is not there yet has none."""
    column = rows[name] if name in rows else pd.Series(np.nan, index=rows.index)
    return pd.to_numeric(column, errors="coerce").astype(float)
