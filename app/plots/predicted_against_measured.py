"""Whether the predicted change of loss can be believed: every trial, predicted against measured."""

from html import escape

import numpy as np
import pandas as pd

from app import quantities
from app.plots import trial_words
from app.plots.figure import Axis, Figure, Mark, Series

FACTOR = 1.5
RELIABLE = 0.3  # nats per token; predictions above say little


def draw(trials: pd.DataFrame) -> Figure | None:
    """Return the figure of the trials with a prediction, None where there is none to draw."""
    told = trials[trials["predicted"].notna() & trials["metric"].eq("loss")]
    predicted, measured = (told[name].to_numpy(float) for name in ("predicted", "delta"))
    drawn = (predicted > 0) & (measured > 0)  # a log axis has no zero
    if not drawn.any():
        return None
    shown = told[drawn]
    low, high = _ends(np.concatenate([predicted[drawn], measured[drawn]]))
    line = np.array([low, high])
    band = Series(f"within {FACTOR:g}×", line, line / FACTOR, "control", "band", line * FACTOR)
    far = Series(
        "not reliable", np.array([RELIABLE, high]), np.array([low, low]), "noise", "band",
        np.array([high, high]),
    )  # fmt: skip
    areas = (band, far) if high > RELIABLE else (band,)
    mark = Mark("x", RELIABLE, f"not reliable above {RELIABLE:g}", "noise")
    return Figure(
        title="Predicted against measured loss",
        caption=_caption(len(shown), len(told) - len(shown), within(shown)),
        x=Axis("predicted Δloss (nats per token)", log=True, low=low, high=high),
        y=Axis("measured Δloss (nats per token)", log=True, low=low, high=high),
        series=(*areas, Series("equal", line, line, "noise"), *_lines(shown, low)),
        marks=(mark,) if high > RELIABLE else (),
        words="bottom",
    )


def within(trials: pd.DataFrame) -> tuple[int, int]:
    """Return how many reliable predictions lie within the factor, and how many there are."""
    told = trials[trials["predicted"].between(0, RELIABLE, inclusive="right")]
    ratio = told["delta"].to_numpy(float) / told["predicted"].to_numpy(float)
    return int(((ratio <= FACTOR) & (ratio >= 1 / FACTOR)).sum()), len(told)


def _ends(found: np.ndarray) -> tuple[float, float]:
    """Return powers of ten around all numbers."""
    low, high = np.floor(np.log10(found.min())), np.ceil(np.log10(found.max()))
    return float(10.0**low), float(10.0 ** max(high, low + 1))


def _lines(shown: pd.DataFrame, floor: float) -> list[Series]:
    """Return the points of each method; whiskers that would reach zero end at the axis."""
    found = shown.assign(line=shown["method"].astype(str))
    return [_points(str(name), part, floor) for name, part in found.groupby("line", sort=False)]


def _points(name: str, part: pd.DataFrame, floor: float) -> Series:
    measured = part["delta"].to_numpy(float)
    low, high = (part[end].astype(float).to_numpy() for end in ("delta_low", "delta_high"))
    return Series(
        name,
        part["predicted"].to_numpy(float),
        measured,
        "layer",
        "points",
        upper=np.where(np.isfinite(high), high, measured),
        lower=np.maximum(np.where(np.isfinite(low), low, measured), floor),
        hover=tuple(
            f"<b>{escape(str(row['label']))}</b><br>predicted "
            f"{quantities.digits(row['predicted'])}<br>measured {escape(trial_words.lost(row))}"
            for row in part.to_dict("records")
        ),
        names=tuple(part["unit"].astype(str)),
    )


def _caption(drawn: int, left: int, good: tuple[int, int]) -> str:
    said = (
        f"Each point is a trial: on the diagonal the prediction is right, in the band it is "
        f"within a factor of {FACTOR:g}: {good[0]} of {good[1]} predictions up to {RELIABLE:g} "
        "nats per token are. "
    )
    if left:
        said += f"{left} without a loss above zero are left out. "
    of = f"Of all {drawn + left} trials" if drawn + left > 1 else "Of the only trial"
    return said + f"{of} with a prediction, whatever their texts."
