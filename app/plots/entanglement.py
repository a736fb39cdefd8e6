"""Entropies over all cuts of a weight matrix, against its bounds and its two controls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from app import quantities
from app.plots.figure import MOST_POINTS, Axis, Figure, Mark, Series

UNITS = {"nats": "nats", "bits": "bits", "share": "share of maximum"}
BITS = float(np.log(2))
SEEN = 0.02  # nats: lines nearer than this are one on the page
CONTROLS = {
    "same σ, random directions": "control",
    "rows and columns permuted": "shuffled",
}
# By-layer quantities: title, whether it is in nats, and what its bars say.
BY_LAYER = {
    "deficit": (
        "Deficit at row|column",
        True,
        "Page's value minus S at the row|column cut: 0 is what noise of the same shape has, and "
        "higher means fewer independent directions. It does not depend on the basis.",
    ),
    "beyond_spectrum": (
        "Structure beyond the spectrum",
        True,
        "How far S lies, on average over all other cuts, from matrices with the same singular "
        "values in random directions.",
    ),
    "beyond_spectrum_deviations": (
        "Structure beyond the spectrum, in deviations",
        False,
        "How far S lies from matrices with the same singular values in random directions, in "
        "their own standard deviations: within ± 2 the curve is what the spectrum gives.",
    ),
    "beyond_order_deviations": (
        "Effect of the order, in deviations",
        False,
        "How far S lies from the same matrix with its rows and columns in random order, in "
        "standard deviations: within ± 2 the order is as good as chance.",
    ),
}


def measured(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that have a curve: zero and failed layers have none."""
    if "entropy" not in rows:
        return rows.head(0)
    return rows[rows["entropy"].notna()].drop_duplicates("label", keep="last")


@dataclass(frozen=True, eq=False)
class Cuts:
    """One matrix' curves over its cuts, in nats; controls are None where none was drawn."""

    entropy: np.ndarray
    maximum: np.ndarray
    rank_bound: np.ndarray
    page: np.ndarray
    isospectral: tuple[np.ndarray, np.ndarray] | None  # lowest and highest
    permuted: tuple[np.ndarray, np.ndarray] | None
    centre: int  # position of the row|column cut, from 0

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Cuts":
        """Return the curves of one row of results."""
        curves = [_numbers(row[n]) for n in ("entropy", "maximum", "rank_bound", "page")]
        bands = [_band(row, name) for name in ("isospectral", "permuted")]
        return cls(*curves, *bands, centre=int(row["row_column"]) - 1)  # type: ignore[arg-type]

    @property
    def others(self) -> np.ndarray:
        """Which cuts are measured and not the row|column one."""
        found = np.isfinite(self.entropy)
        found[self.centre] = False
        return found


def over_cuts(name: str, row: Mapping[str, Any], unit: str) -> Figure:
    """Return S over the cuts with all it is held against; `unit` is a key of `UNITS`."""
    cuts = Cuts.of(row)
    at = np.arange(1.0, len(cuts.entropy) + 1)
    scale = {"nats": 1.0, "bits": BITS, "share": cuts.maximum}[unit]
    series = [
        Series(words, at, band[0] / scale, role, "band", upper=band[1] / scale)  # type: ignore[arg-type]
        for (words, role), band in zip(
            CONTROLS.items(), (cuts.isospectral, cuts.permuted), strict=True
        )
        if band is not None
    ]
    lines = [("Page value", cuts.page, "noise")]
    if (cuts.rank_bound < cuts.maximum - SEEN).any():  # of nearly full rank the two are one
        lines.append(("rank bound", cuts.rank_bound, "optimal"))
    if unit != "share":
        lines.append(("maximum", cuts.maximum, "edge"))
    series += [Series(words, at, y / scale, role) for words, y, role in lines]  # type: ignore[arg-type]
    series.append(Series("S", at, cuts.entropy / scale))
    measured = "entropy S" if unit != "share" else "S / maximum"
    return Figure(
        title=f"Entropy over the cuts · {name}",
        caption=reading(row),
        x=Axis("cut: number of sites on its left", whole=True),
        y=Axis(f"{measured} ({UNITS[unit]})" if unit != "share" else measured),
        series=tuple(series),
        marks=(Mark("x", float(cuts.centre + 1), "row|column", "other"),),
        words="bottom",
    )


def reading(row: Mapping[str, Any]) -> str:
    """Return what one matrix' curve shows and does not show, in words."""
    cuts = Cuts.of(row)
    if not cuts.others.any():
        return "Row|column is the only cut that was made."
    said = (
        f"S {_dip(float(row['valley_depth']))} at row|column; "
        f"noise of this shape {_dip(noise_valley(cuts))}."
    )
    outside = outside_of(cuts, cuts.isospectral)
    if outside is None:
        return f"{said} No controls were drawn, so nothing is known beyond the spectrum."
    total = int(cuts.others.sum())
    if outside == 0:
        return (
            f"{said} All {total} other cuts lie within the band of the same singular values in "
            "random directions: the curve, its valley too, is what the spectrum gives."
        )
    return (
        f"{said} {outside} of {total} other cuts leave the band of the same singular values in "
        "random directions: there the curve shows more than the spectrum."
    )


def noise_valley(cuts: Cuts) -> float:
    """Return how deep Page's value dips at row|column: the valley of noise, nats."""
    return float(cuts.page[np.isfinite(cuts.entropy)].max() - cuts.page[cuts.centre])


def beyond(name: str, row: Mapping[str, Any], unit: str) -> Figure | None:
    """Return S minus the mean of the isospectral draws, with both bands; None without draws."""
    cuts = Cuts.of(row)
    if cuts.isospectral is None or cuts.permuted is None or not cuts.others.any():
        return None
    mean, scale = _numbers(row["isospectral_mean"]), BITS if unit == "bits" else 1.0
    at = np.arange(1.0, len(mean) + 1)
    bands = [
        Series(words, at, (low - mean) / scale, role, "band", upper=(high - mean) / scale)  # type: ignore[arg-type]
        for (words, role), (low, high) in zip(
            CONTROLS.items(), (cuts.isospectral, cuts.permuted), strict=True
        )
    ]
    return Figure(
        title=f"Beyond the spectrum · {name}",
        caption="S minus the mean of matrices with the same singular values in random directions. "
        "Below zero: the digits of the indices are less entangled than the spectrum alone makes "
        "them. Where the grey band follows the curve, the order of rows and columns has no part "
        "in it.",
        x=Axis("cut: number of sites on its left", whole=True),
        y=Axis(f"S - mean ({'bits' if unit == 'bits' else 'nats'})"),
        series=(*bands, Series("S", at, (cuts.entropy - mean) / scale)),
        marks=(Mark("x", float(cuts.centre + 1), "row|column", "other"),),
        words="bottom",
    )


def outside_of(cuts: Cuts, band: tuple[np.ndarray, np.ndarray] | None) -> int | None:
    """Return how many cuts but row|column lie outside of a control's band; None without one."""
    if band is None:
        return None
    low, high = band
    outside = (cuts.entropy < low) | (cuts.entropy > high)
    return int((outside & cuts.others).sum())


def by_layer(rows: pd.DataFrame, column: str, unit: str) -> Figure:
    """Return bars of a key of `BY_LAYER` in the model's order; bits where `unit` says so."""
    title, in_nats, caption = BY_LAYER[column]
    shown = rows[pd.to_numeric(rows[column], errors="coerce").notna()].head(MOST_POINTS)
    bits = in_nats and unit == "bits"
    left = len(rows) - len(shown)
    if left:
        caption += f" {left} without a value or beyond the first {MOST_POINTS} are in the table."
    words = ("bits" if bits else "nats") if in_nats else "standard deviations"
    values = shown[column].to_numpy(float) / (BITS if bits else 1.0)
    return Figure(
        title=f"{title}, by layer",
        caption=caption,
        x=Axis("layer", names=tuple(shown["label"].astype(str))),
        y=Axis(words),
        series=(Series(title, np.arange(float(len(shown))), values, "layer", "bars"),),
    )


def _dip(depth: float) -> str:
    """Return a valley in words; what is not seen on the page is none."""
    return f"dips by {quantities.digits(depth, 2)} nats" if depth > SEEN / 2 else "does not dip"


def _numbers(cell: Sequence[float] | np.ndarray) -> np.ndarray:
    return np.asarray(cell, dtype=float)


def _band(row: Mapping[str, Any], name: str) -> tuple[np.ndarray, np.ndarray] | None:
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    there = [end is not None and not isinstance(end, float) for end in (low, high)]  # NaN: null
    return (_numbers(low), _numbers(high)) if all(there) else None  # type: ignore[arg-type]
