"""Singular values in order of size, and what to hold them against."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app import quantities
from app.plots.figure import Axis, Figure, Mark, Series, thin

OVERLAYS = {
    "edge": "Marchenko-Pastur edge",
    "shuffled": "Shuffled entries",
    "noise": "Gaussian noise",
    "energy": "Energy threshold",
    "optimal": "Gavish-Donoho cut",
    "welore": "WeLore cut",
    "floor": "Rounding floor",
}
DEFAULT_OVERLAYS = ("edge", "shuffled", "energy", "floor")
SIGMA = "\N{GREEK SMALL LETTER SIGMA}"
# Below this share of the largest a value says nothing on a plot, and a log axis would follow it.
LEAST_DRAWN = 1e-9


@dataclass(frozen=True, eq=False)
class Curve:
    """Some of a matrix's singular values: `index` counts from 1 to `full` = min(m, n)."""

    name: str
    index: np.ndarray
    values: np.ndarray
    full: int


@dataclass(frozen=True)
class Axes:
    """How a decay is drawn: normalised is sigma / sigma_1 against i / rank."""

    normalised: bool = False
    log_value: bool = True
    log_index: bool = False


def one_decay(
    curve: Curve,
    baselines: Mapping[str, Curve],
    marks: Sequence[Mark],
    axes: Axes,
    absent: Sequence[str] = (),
) -> Figure:
    """Return one layer's decay with its baselines and marks (both in the layer's own units).

    `baselines` maps a role ("shuffled", "noise") to its curve; `absent` are sentences about lines
    that cannot be drawn.
    """
    scale = _scale(curve, axes)
    series = [_series(curve, axes, scale, "layer")]
    series += [_series(base, axes, scale, role) for role, base in baselines.items()]
    kept, hidden = _placed(marks, curve, axes, scale)
    caption = "A direction above the shuffled curve carries more than chance would give it."
    if "shuffled" not in baselines:
        caption = "How much each direction carries, from the strongest to the weakest."
    return Figure(
        title=f"Singular-value decay · {curve.name}",
        caption=" ".join([caption, *absent, *hidden]),
        x=_index_axis(axes),
        y=_value_axis(series, kept, axes),
        series=tuple(series),
        marks=tuple(kept),
    )


def overlaid_decays(curves: Sequence[Curve], axes: Axes) -> Figure:
    """Return several layers' decays on the same axes."""
    series = [_series(curve, axes, _scale(curve, axes), "layer") for curve in curves]
    caption = (
        "Each layer's singular values over its largest, against the share of its rank: "
        "the lower a curve, the fewer directions matter."
        if axes.normalised
        else "Each layer's singular values as they are: larger matrices reach further right."
    )
    return Figure(
        title=f"Singular-value decay · {len(curves)} layers",
        caption=caption,
        x=_index_axis(axes),
        y=_value_axis(series, [], axes),
        series=tuple(series),
    )


def marks(
    layer: Mapping[str, Any], wanted: Collection[str], energy: Mapping[float, int]
) -> list[Mark]:
    """Return the straight lines of one layer of a profile; `energy` maps a share to its rank."""
    found = []
    if "edge" in wanted and quantities.known(layer.get("mp_edge")):
        above = quantities.digits(layer.get("mp_spikes"))
        found.append(_level(layer["mp_edge"], f"noise edge · {above} above", "edge"))
    if "energy" in wanted:
        for share, rank in energy.items():
            words = f"k{quantities.digits(100 * share)} = {rank}"
            found.append(Mark("x", float(rank), words, "energy"))
    for key, column, words in (
        ("optimal", "gavish_donoho_rank", "Gavish-Donoho"),
        ("welore", "welore_rank", "WeLore keeps"),
    ):
        if key in wanted and quantities.known(layer.get(column)) and layer[column] > 0:
            text = f"{words} = {int(layer[column])}"
            found.append(Mark("x", float(layer[column]), text, key))  # type: ignore[arg-type]
    if "floor" in wanted and quantities.known(layer.get("noise_floor")):
        floor = layer["noise_floor"]
        if floor > 0:
            found.append(_level(floor, f"rounding floor · {quantities.digits(floor)}", "floor"))
    return found


def missing(layer: Mapping[str, Any], wanted: Collection[str]) -> list[str]:
    """Return a sentence for each wanted line that this layer has none of."""
    said = []
    if "edge" in wanted and not quantities.known(layer.get("mp_edge")):
        said.append(f"No noise edge: {layer.get('median_reason') or 'none is stored'}.")
    if "optimal" in wanted and not quantities.known(layer.get("gavish_donoho_rank")):
        said.append(f"No Gavish-Donoho cut: {layer.get('median_reason') or 'none is stored'}.")
    elif "optimal" in wanted and layer["gavish_donoho_rank"] == 0:
        said.append("The Gavish-Donoho cut keeps no direction.")
    if "welore" in wanted and not quantities.known(layer.get("welore_rank")):
        reason = layer.get("welore_reason") or "launch WeLore on Analyses"
        said.append(f"No WeLore cut: {reason}.")
    return said


def _level(at: float, words: str, role: Any) -> Mark:
    return Mark("y", float(at), words, role)


def _scale(curve: Curve, axes: Axes) -> tuple[float, float]:
    """Return what indices and values are divided by."""
    if not axes.normalised or not len(curve.values) or curve.values[0] <= 0:
        return 1.0, 1.0
    return float(curve.full), float(curve.values[0])


def _series(curve: Curve, axes: Axes, scale: tuple[float, float], role: Any) -> Series:
    """Return the curve on its axes; a baseline is measured by the layer's own scale."""
    keep = thin(len(curve.index))
    x, y = curve.index[keep] / scale[0], curve.values[keep] / scale[1]
    if axes.log_value:
        drawn = y > LEAST_DRAWN * max(float(y.max(initial=0.0)), 1e-300)
        x, y = x[drawn], y[drawn]
    return Series(curve.name if role == "layer" else OVERLAYS[role].lower(), x, y, role)


def _placed(
    marks: Sequence[Mark], curve: Curve, axes: Axes, scale: tuple[float, float]
) -> tuple[list[Mark], list[str]]:
    """Return the marks on these axes, and a sentence for each that lies far below the curve."""
    kept, hidden = [], []
    least = float(curve.values[curve.values > 0].min(initial=np.inf))
    for mark in marks:
        if mark.axis == "y" and axes.log_value and mark.at < least / 30:
            hidden.append(f"The {mark.text.replace(' · ', ' of ')} lies below the axis.")
            continue
        kept.append(Mark(mark.axis, mark.at / scale[mark.axis == "y"], mark.text, mark.role))
    return kept, hidden


def _index_axis(axes: Axes) -> Axis:
    title = "index i / full rank" if axes.normalised else "index i"
    return Axis(title, log=axes.log_index)


def _value_axis(series: Sequence[Series], marks: Sequence[Mark], axes: Axes) -> Axis:
    """Return the axis of singular values, long enough for the curves and the level marks."""
    title = f"singular value {SIGMA} / {SIGMA}₁" if axes.normalised else f"singular value {SIGMA}"
    if not axes.log_value:
        return Axis(title)
    ends = np.concatenate([s.y for s in series] + [[m.at for m in marks if m.axis == "y"]])
    ends = ends[ends > 0]
    if not ends.size:
        return Axis(title)
    return Axis(title, log=True, low=float(ends.min() / 1.6), high=float(ends.max() * 1.6))
