"""What trials lose against what they hold: a line for each method, the front, and the whole.

The whole is the dense model, or the whole adapter whose trials are smaller ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from app import quantities
from app.plots import pareto, trial_words
from app.plots.figure import Axis, Figure, Mark, Series

SIZES = {
    "bytes": "bytes on disk",
    "model": "parameters, whole model",
    "linear": "parameters kept, linear layers",
}
# In the order in which they are offered; which there are depends on what was measured.
MEASURES = {
    "delta": "Δloss from dense",
    "perplexity": "perplexity",
    "spearman": "Spearman",
    "accuracy": "next-token accuracy",
    "choice": "choice accuracy",
}
COLUMNS = {"accuracy": "accuracy", "choice": "choice_accuracy", "spearman": "score"}
LINE = 2  # points that a front needs to be one


@dataclass(frozen=True, eq=False)
class Measured:
    """One measure of n trials, the dense model last: value, interval, and what is lost."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    lost: np.ndarray
    paired: bool  # whether `lost` is in nats per token, as the windows are


def words(trials: pd.DataFrame) -> dict[str, str]:
    """Return what each measure and size is called of these trials."""
    beside = trial_words.beside(trials.to_dict("records"))
    if beside.is_dense:
        return {**MEASURES, **SIZES}
    own = {"delta": f"Δloss from {beside.the}", "linear": f"parameters kept of {beside.part}"}
    return {**MEASURES, **SIZES, **own}


def measures(trials: pd.DataFrame) -> list[str]:
    """Return the measures that some trial has, the default first."""
    loss, spearman = (trials["metric"].eq(name).any() for name in ("loss", "spearman"))
    has = {
        "delta": True,
        "perplexity": loss and trials["perplexity"].notna().any(),
        "spearman": spearman,
        "accuracy": trials["accuracy"].notna().any(),
        "choice": trials["choice_accuracy"].notna().any(),
    }
    return [name for name in MEASURES if has[name]]


def draw(trials: pd.DataFrame, measure: str, size: str, *, dominated: bool = True) -> Figure:
    """Return the figure of finished trials that were measured alike.

    `measure` and `size` are keys of MEASURES and SIZES; without `dominated` only the trials of the
    front are drawn.
    """
    shown = trials[_numbers(trials, _column(measure)).notna()].reset_index(drop=True)
    held, dense_held, unit = sizes(shown, size)
    found = measured(shown, measure)
    ends = np.append(held, dense_held)
    best = on_front(shown, ends, found)
    kept = best[:-1] | dominated
    lines = [
        _line(name, at, shown, held, found) for name, at in _by_method(shown, np.flatnonzero(kept))
    ]
    front = _front(ends, found.value, best)
    name = trial_words.beside(shown.to_dict("records")).name
    dense = Series(name, np.array([dense_held]), found.value[-1:], "shuffled", "points")
    told = name if measure == "delta" else f"{name} {quantities.digits(found.value[-1])}"
    return Figure(
        title="Accuracy against size",
        caption=_caption(shown, int((~kept).sum()), has_front=bool(front)),
        x=Axis(f"{words(shown)[size]}{unit}"),
        y=_y_axis(shown, measure, found),
        series=(*front, *lines, dense),
        marks=(Mark("y", float(found.value[-1]), told, "shuffled"),),
    )


def _front(held: np.ndarray, value: np.ndarray, best: np.ndarray) -> tuple[Series, ...]:
    """Return the line of the front; one point alone is none."""
    order = np.flatnonzero(best)[np.argsort(held[best], kind="stable")]
    line = Series("Pareto front", held[order], value[order], "front")
    return (line,) if len(order) >= LINE else ()


def on_front(trials: pd.DataFrame, held: np.ndarray, found: Measured) -> np.ndarray:
    """Return which trials, and the dense model as the last, no other beats beyond its interval."""
    return pareto.front(held, found.lost, _margins(trials, found))


def sizes(trials: pd.DataFrame, size: str) -> tuple[np.ndarray, float, str]:
    """Return each trial's size, the dense model's, and the unit, as the axis has them."""
    if size == "linear":
        return 100 * trials["kept_linear"].to_numpy(float), 100.0, " (%)"
    column = {"bytes": "bytes", "model": "model_numbers"}[size]
    held = trials[column].to_numpy(float)
    dense = float(trials[f"of_{column}"].max())
    step = int(np.clip(np.log10(max(dense, 1.0)) // 3, 0, 3))
    unit = ("", "k", "M", "G")[step] + ("B" if size == "bytes" else "")
    return held / 1000.0**step, dense / 1000.0**step, f" ({unit})" if unit else ""


def measured(trials: pd.DataFrame, measure: str) -> Measured:
    """Return a measure of the trials and of the dense model."""
    delta, low, high = (
        np.append(_numbers(trials, name).to_numpy(float), 0.0)
        for name in ("delta", "delta_low", "delta_high")
    )
    loss = bool(trials["metric"].eq("loss").all())
    if measure == "delta":
        return Measured(delta, low, high, delta, loss)
    dense = _dense(trials, measure)
    if measure == "perplexity":
        value = np.append(trials["perplexity"].to_numpy(float), dense)
        return Measured(value, dense * np.exp(low), dense * np.exp(high), np.log(value), loss)
    value = np.append(_numbers(trials, COLUMNS[measure]).to_numpy(float), dense)
    if measure == "spearman":
        return Measured(value, dense - high, dense - low, -value, False)
    unknown = np.full(len(value), np.nan)
    return Measured(value, unknown, unknown, -value, False)


def _dense(trials: pd.DataFrame, measure: str) -> float:
    dense = _numbers(trials, f"dense_{_column(measure)}").dropna()
    return float(dense.iloc[0]) if len(dense) else np.nan


def _column(measure: str) -> str:
    return COLUMNS.get(measure, measure)


def _numbers(trials: pd.DataFrame, column: str) -> pd.Series:
    return pd.to_numeric(trials[column], errors="coerce")


def _margins(trials: pd.DataFrame, found: Measured) -> np.ndarray:
    """Return the half-widths between trials: by their windows, or by their own intervals."""
    rows = trials.to_dict("records")
    windows = [np.asarray(row["nats"], float) for row in rows]
    counts = [np.asarray(row["counts"], float) for row in rows]
    alike = len(windows) > 0 and all(
        np.array_equal(c, counts[0]) and len(n) == len(c)
        for n, c in zip(windows, counts, strict=True)
    )
    dense = np.asarray(rows[0]["dense_nats"], float) if rows else np.empty(0)
    if found.paired and alike and len(dense) == len(counts[0]):
        return pareto.margins([*windows, dense], counts[0])
    half = np.nan_to_num((found.high - found.low) / 2)
    half[-1] = 0.0
    return pareto.independent(half)


def _by_method(trials: pd.DataFrame, at: np.ndarray) -> list[tuple[str, np.ndarray]]:
    names = np.array(trial_words.line_names(trials.to_dict("records")), dtype=object)
    lines = [(name, at[names[at] == name]) for name in dict.fromkeys(names)]
    return [(name, there) for name, there in lines if len(there)]


def _line(
    name: str, at: np.ndarray, trials: pd.DataFrame, held: np.ndarray, found: Measured
) -> Series:
    at = at[np.argsort(held[at], kind="stable")]
    value, low, high = found.value[at], found.low[at], found.high[at]
    sure = np.isfinite(low) & np.isfinite(high)
    rows = trials.iloc[at].to_dict("records")
    return Series(
        name,
        held[at],
        value,
        "layer",
        "joined",
        upper=np.where(sure, high, value) if sure.any() else None,
        lower=np.where(sure, low, value) if sure.any() else None,
        hover=tuple(_hover(row) for row in rows),
        names=tuple(str(row["unit"]) for row in rows),
    )


def _hover(row: Mapping[str, Any]) -> str:
    said = [
        f"<b>{escape(str(row['label']))}</b>",
        f"{quantities.size(row['bytes'])} of {quantities.size(row['of_bytes'])}",
        f"{quantities.percent(row['kept_linear'])} of {trial_words.beside([row]).part} kept",
        escape(trial_words.lost(row)),
    ]
    if quantities.known(row["perplexity"]):
        said.append(f"perplexity {quantities.digits(row['perplexity'])}")
    return "<br>".join(said)


def _y_axis(trials: pd.DataFrame, measure: str, found: Measured) -> Axis:
    title = words(trials)[measure]
    if measure == "delta":
        lost = trials["metric"].eq("spearman").any()
        title = title.replace("Δloss", "Spearman lost") if lost else f"{title} (nats per token)"
    if measure != "perplexity":
        return Axis(title)
    ends = np.concatenate([found.value, found.low, found.high])
    ends = ends[np.isfinite(ends) & (ends > 0)]
    return Axis(title, log=True, low=float(ends.min()) / 1.05, high=float(ends.max()) * 1.05)


def _caption(trials: pd.DataFrame, hidden: int, *, has_front: bool) -> str:
    rows = trials.to_dict("records")
    front = " the Pareto front joins those that none beats by more than that;" if has_front else ""
    left = f" {hidden} that others beat are not drawn." if hidden else ""
    return (
        f"Each point is a trial with its paired 95 % interval;{front} dashed: "
        f"{trial_words.beside(rows).the}.{left} {trial_words.sources(rows)}"
    )
