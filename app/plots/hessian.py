"""The eigenvalues of a Hessian: their sizes with the gap, their density, and ranks by layer."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from app import quantities
from app.plots.figure import MOST_POINTS, Axis, Figure, Mark, Role, Series

PARTS: dict[str, tuple[str, Role]] = {
    "eigenvalues": ("H", "layer"),
    "eigenvalues_outer": ("H_O, outer-product part", "fit"),
    "eigenvalues_functional": ("H_F, functional part", "energy"),
}
BY_LAYER = {
    "significant_share": "significant / p",
    "rank_share": "rank / p",
    "trace": "trace",
    "largest": "largest |λ|",
}
LEAST_DRAWN = 1e-20  # of the largest: what rounds to nothing has no place on a log axis
REAL_GAP = 1e3  # a drop that is no part of a smooth decay
DECADES = 9  # of a density that are worth a look
ERRORS = 1.96  # standard errors in half of a 95 % interval


def measured(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that have a rank, each layer once."""
    if "rank" not in rows or "layer" not in rows:
        return rows.head(0)
    return rows[rows["rank"].notna()].drop_duplicates("layer", keep="last")


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row in which everything that is not there is None."""
    return {
        str(name): None if pd.api.types.is_scalar(value) and pd.isna(value) else value
        for name, value in row.items()
    }


def by_index(row: Mapping[str, Any], name: str, wanted: Collection[str] = tuple(PARTS)) -> Figure:
    """Return |λ| by index on a log axis: H and its parts, threshold, rank and predicted rank."""
    rank = int(row["rank"])
    series = [
        Series(words, *_sizes(row[column], rank), role)
        for column, (words, role) in PARTS.items()
        if column in wanted and row.get(column) is not None
    ]
    lowest = min((float(s.y.min()) for s in series if len(s.y)), default=1.0)
    highest = max((float(s.y.max()) for s in series if len(s.y)), default=1.0)
    marks = _ranks(row)
    if row["threshold"] > 0:
        lowest = min(lowest, row["threshold"])
        words = f"threshold {quantities.digits(row['threshold'])}"
        marks.append(Mark("y", float(row["threshold"]), words, "floor"))
    return Figure(
        title=f"Eigenvalues · {name}",
        caption=gap_sentence(row),
        x=Axis("index i, by size"),
        y=Axis("|λ|", log=True, low=lowest / 3, high=highest * 3),
        series=tuple(series),
        marks=tuple(marks),
    )


def gap_sentence(row: Mapping[str, Any]) -> str:
    """Return what the eigenvalues say about the rank."""
    rank, size = int(row["rank"]), int(row["parameters"])
    if rank == size:
        return f"All {size} eigenvalues lie above rounding: the loss bends in every direction."
    if rank == 0:
        return "No eigenvalue is above zero: the loss does not bend here."
    said = f"{rank} of {size} eigenvalues lie above rounding, the others do not"
    if not quantities.known(row.get("gap")):
        return f"{said}."
    gap = quantities.digits(row["gap"])
    if row["gap"] < REAL_GAP:
        return (
            f"{said}. No gap lies between the two (a factor of {gap}): this rank is what float64 "
            "resolves, not where the curvature ends."
        )
    return f"{said}: a drop by {gap} times between the two."


def density(row: Mapping[str, Any], name: str) -> Figure:
    """Return the smoothed density of the eigenvalues on a log axis, with its 95 % band."""
    grid, values = (np.asarray(row[c], float) for c in ("density_grid", "density"))
    highest = float(values.max(initial=0.0)) or 1.0
    lowest = highest / 10**DECADES
    drawn = values > lowest
    series = [Series("density", grid, np.where(drawn, values, np.nan), "layer")]
    if row.get("density_se") is not None:
        reach = ERRORS * np.asarray(row["density_se"], float)
        low, high = np.maximum(values - reach, lowest), np.maximum(values + reach, lowest)
        band = Series("95 % interval", grid, low, "other", "band", high)
        series.insert(0, band)
    threshold = float(row["threshold"])
    words = f"threshold ±{quantities.digits(threshold)}"
    marks = [Mark("x", -threshold, "", "floor"), Mark("x", threshold, words, "floor")]
    return Figure(
        title=f"Density of the eigenvalues · {name}",
        caption="How many directions bend how much: the peak at zero are flat ones, the far ends "
        "the few sharp ones. Smoothed by the width that the steps can tell apart.",
        x=Axis("eigenvalue λ"),
        y=Axis("share of eigenvalues per unit of λ", log=True, low=lowest, high=highest * 3),
        series=tuple(series),
        marks=tuple(marks) if threshold else (),
    )


def largest(row: Mapping[str, Any], name: str) -> Figure:
    """Return the eigenvalues of largest size as bars, with their signs."""
    values = np.asarray(row["top_eigenvalues"], float)[:MOST_POINTS]
    below = int((values < 0).sum())
    return Figure(
        title=f"Largest eigenvalues · {name}",
        caption=f"The sharpest directions, {below} of these {len(values)} downwards: there a step "
        "either way lowers the loss."
        if below
        else f"The {len(values)} sharpest directions: the loss rises along each of them.",
        x=Axis("index i, by size", whole=True),
        y=Axis("eigenvalue λ"),
        series=(Series("λ", np.arange(1, len(values) + 1), values, "layer", "bars"),),
    )


def by_layer(rows: pd.DataFrame, column: str) -> Figure:
    """Return one number of every layer as bars, with the intervals of estimates."""
    shown = rows.head(MOST_POINTS)
    if column == "largest":
        values = np.array([_first(cell) for cell in shown["top_eigenvalues"]])
    else:
        values = pd.to_numeric(shown[column], errors="coerce").to_numpy(float)
    names = tuple(shown["layer"].astype(str))
    low, high = _ends(shown, column, values)
    title = BY_LAYER[column]
    bars = Series(title, np.arange(len(names)), values, "layer", "bars", high, low)
    return Figure(
        title=f"{title} by layer",
        caption=_layers_sentence(shown, len(rows), column),
        x=Axis("layer", names=names),
        y=Axis(title, low=0.0 if column != "trace" else None),
        series=(bars,),
    )


def _layers_sentence(shown: pd.DataFrame, count: int, column: str) -> str:
    said = {
        "significant_share": "The share of eigenvalues above one same share of the layer's largest",
        "rank_share": "The share of eigenvalues above each row's own threshold",
        "trace": "The sum of the eigenvalues",
        "largest": "The size of the sharpest direction",
    }[column]
    if column == "rank_share" and shown["method"].nunique() > 1:
        said += ", which is rounding where exact and the tolerance where estimated: do not compare"
    if column != "largest" and (shown["method"] == "estimated").any():
        said += "; whiskers are the intervals of estimates"
    left = count - len(shown)
    return f"{said}." + (f" {left} more are in the table." if left else "")


def _ends(shown: pd.DataFrame, column: str, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the whiskers; where nothing is known of an error, the values."""

    def numbers(name: str) -> np.ndarray:
        return pd.to_numeric(shown[name], errors="coerce").to_numpy(float)

    if column == "trace":
        reach = np.nan_to_num(ERRORS * numbers("trace_se"))
        return values - reach, values + reach
    if column == "largest":
        return values, values
    size, guessed = numbers("parameters"), shown["method"].eq("estimated").to_numpy()
    low, high = numbers("rank_low") / size, numbers("rank_high") / size
    known = guessed & np.isfinite(low) & np.isfinite(high)
    return np.where(known, low, values), np.where(known, high, values)


def _first(cell: Any) -> float:
    return abs(float(cell[0])) if cell is not None and len(cell) else float("nan")


def _sizes(values: Any, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Return index and |λ| of at most 256 eigenvalues, all of those around the rank among them."""
    size = np.abs(np.asarray(values, float))
    at = np.arange(len(size))
    if len(size) > MOST_POINTS:
        around = np.arange(max(rank - 8, 0), min(rank + 8, len(size)))
        spread = np.linspace(0, len(size) - 1, MOST_POINTS - len(around)).astype(int)
        at = np.union1d(spread, around)
    at = at[size[at] > LEAST_DRAWN * max(float(size.max(initial=0.0)), 1e-300)]
    return at + 1, size[at]


def _ranks(row: Mapping[str, Any]) -> list[Mark]:
    rank, bound = int(row["rank"]), row.get("bound")
    if not quantities.known(bound):
        return [Mark("x", float(rank), f"rank {rank}", "optimal")]
    whose = "linear-net bound" if "linear-net" in str(row["bound_label"]) else "predicted"
    if int(bound) == rank:
        return [Mark("x", float(rank), f"rank {rank} = {whose}", "optimal")]
    return [
        Mark("x", float(rank), f"rank {rank}", "optimal"),
        Mark("x", float(bound), f"{whose} {int(bound)}", "edge"),
    ]
