"""What a profile can be coloured by: declared columns, and the scales they are read on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from app import quantities

VS_NOISE = "_vs_noise"
SCALES = {
    "noise": "of noise, same shape",
    "full": "of full rank",
    "absolute": "absolute",
}
# Their near-twins stand beside them under other definitions, so these say whose they are.
WEIGHTWATCHER = (
    "matrix_rank",
    "rank_loss",
    "weak_rank_loss",
    "entropy",
    "num_pl_spikes",
    "num_spikes",
    "rand_num_spikes",
    "norm",
    "log_norm",
    "spectral_norm",
    "log_spectral_norm",
    "sigma_mp",
    "bulk_max",
    "bulk_min",
    "mp_softrank",
    "ww_softrank",
    "ww_maxdist",
    "xmin",
    "D",
)
# Kinds of columns that a map can be coloured by, in the order in which they are offered.
DRAWN_KINDS = ("rank", "exponent", "ratio", "norm", "count")
FIRST = (
    "effective_rank_sigma",
    "effective_rank_energy",
    "stable_rank",
    "k90",
    "k95",
    "k99",
    "numerical_rank",
    "alpha",
)


@dataclass(frozen=True)
class Metric:
    """One column of a profile, with the words its declaration gives."""

    name: str
    title: str
    help: str
    kind: str


def metrics(declared: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> dict[str, Metric]:
    """Return the declared numeric columns that the profile holds, by name, the ranks first."""
    present = set(columns)
    found = {}
    for column in declared:
        name, kind = column["name"], column.get("kind", "count")
        drawn = kind in DRAWN_KINDS and column["type"] in ("int", "float", "bool")
        if drawn and name in present and not name.endswith(VS_NOISE):
            found[name] = Metric(name, title_of(column), column.get("help", ""), kind)
    return {name: found[name] for name in sorted(found, key=lambda name: _place(found[name]))}


def _place(metric: Metric) -> tuple[int, int]:
    asked_most = FIRST.index(metric.name) if metric.name in FIRST else len(FIRST)
    return asked_most, DRAWN_KINDS.index(metric.kind)


def title_of(column: Mapping[str, Any]) -> str:
    """Return a column's title, or its name with spaces, with a capital where it is a word."""
    title = column.get("title") or str(column["name"]).replace("_", " ")
    if column["name"] in WEIGHTWATCHER:
        return title if title.startswith("WW ") else f"WW {title}"
    return title[0].upper() + title[1:] if title[:2].isascii() and title[1:2].islower() else title


def scales(metric: Metric, columns: Iterable[str]) -> list[str]:
    """Return the scales this metric can be read on, the default first."""
    possible = ["noise"] if metric.name + VS_NOISE in set(columns) else []
    if metric.kind == "rank":
        possible.append("full")
    return [*possible, "absolute"]


def values(profile: pd.DataFrame, metric: Metric, scale: str) -> np.ndarray:
    """Return the metric of each row on a scale as float64, NaN where there is none."""
    column = metric.name + VS_NOISE if scale == "noise" else metric.name
    found = pd.to_numeric(profile[column], errors="coerce").to_numpy(float, na_value=np.nan)
    if scale == "full":
        found = found / profile[["rows", "cols"]].min(axis=1).to_numpy(float)
    return found


def written(value: float, scale: str) -> str:
    """Return the value as a cell shows it: 0.87, 68 % or 278."""
    if scale == "full":
        return quantities.percent(value)
    if scale == "noise":
        return f"{value:.2f}" if quantities.known(value) else quantities.NOT_KNOWN
    return quantities.digits(value)


def sentence(metric: Metric, scale: str) -> str:
    """Return the one sentence under the grid's title: what the colour means."""
    if scale == "noise":
        return (
            f"{metric.title} divided by that of a random matrix of the same shape: "
            "1 is what noise would show, and orange is below it."
        )
    if scale == "full":
        return f"{metric.title} as a share of the most its shape allows. Deeper blue: more."
    if metric.kind == "rank":
        return f"{metric.title} as it is. Deeper blue: more; larger matrices can reach more."
    return f"{metric.title} as it is. Deeper blue: a larger number."


def difference_sentence(metric: Metric, scale: str, names: tuple[str, str]) -> str:
    """Return the sentence under a map of differences: of what, and in which units."""
    first, second = names
    units = {
        "noise": "ratios to noise of the same shape",
        "full": "shares of full rank (1 is all of it)",
        "absolute": "the numbers as they are",
    }[scale]
    return f"{metric.title}: {first} minus {second}, of {units}. Blue: {first} has more."
