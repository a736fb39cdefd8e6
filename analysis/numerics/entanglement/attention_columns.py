"""The columns that the attention of one head fills at one length of text, in nats."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.numerics.columns import exponent, note
from analysis.numerics.entanglement.entropy import gaussian_logits_estimate, uniform_causal_entropy
from analysis.numerics.entanglement.octaves import bootstrap_interval, slope_per_octave


@dataclass(frozen=True, kw_only=True)
class Growth:
    """The entropy at one length, and how it grows; the slope is repeated on each length."""

    entropy: float = exponent("entropy S(T)", "mean over windows", unit="nats")
    entropy_low: float | None = exponent("entropy, low end", "of the 95 % interval over windows")
    entropy_high: float | None = exponent("entropy, high end", "of the 95 % interval over windows")
    by_window: tuple[float, ...] = note("entropy by window", "nats")
    slope: float | None = exponent(
        "slope", "least squares over log2 T of all lengths", unit="nats per octave"
    )
    slope_low: float | None = exponent("slope, low end", "of the 95 % interval over windows")
    slope_high: float | None = exponent("slope, high end", "of the 95 % interval over windows")
    octave: float | None = exponent(
        "growth over the last octave", "S(T) - S(T/2); none at the shortest", unit="nats"
    )
    octave_low: float | None = exponent("growth, low end", "of the 95 % interval over windows")
    octave_high: float | None = exponent("growth, high end", "of the 95 % interval over windows")


@dataclass(frozen=True, kw_only=True)
class References:
    """What the entropy of one length is held against, in nats."""

    maximum: float = exponent("maximum", "ln T", unit="nats")
    uniform: float = exponent(
        "uniform attention", "S of looking at all visible tokens alike", unit="nats"
    )
    estimate: float = exponent(
        "estimate for Gaussian logits",
        "h(q) + (1-q)(ln T - 1/2), q = exp(-σ²): random logits of this spread, without a mask",
        unit="nats",
    )
    logit_deviation: float = exponent(
        "spread σ of the logits", "within rows, over visible tokens, from ln A"
    )


def references(length: int, deviation: float, uniform: float) -> dict[str, Any]:
    """Return the columns of `References` for one length, spread of logits and `uniform_entropy`."""
    return {
        "maximum": math.log(length),
        "uniform": uniform,
        "estimate": gaussian_logits_estimate(length, deviation),
        "logit_deviation": deviation,
    }


def uniform_entropy(length: int, *, causal: bool) -> float:
    """Return the entropy of looking at all visible tokens alike: without a mask a rank of one."""
    return uniform_causal_entropy(length) if causal else 0.0


def growth(
    entropies: np.ndarray, lengths: list[int], bootstrap: int, seed: int
) -> list[dict[str, Any]]:
    """Return the columns of `Growth` for each length, from entropies (windows, lengths).

    `bootstrap` resamplings of the windows; all columns are resampled alike.
    """
    octaves = np.diff(entropies, axis=1, prepend=np.nan)
    slopes = np.full_like(entropies, np.nan)
    if len(lengths) > 1:
        slopes[:] = slope_per_octave(lengths, entropies)[:, None]
    values = np.stack([entropies, octaves, slopes], axis=-1)  # (windows, lengths, 3)
    interval = bootstrap_interval(values, draws=bootstrap, seed=seed)
    low, high = (np.full(values.shape[1:], np.nan),) * 2 if interval is None else interval
    columns = []
    for i in range(len(lengths)):
        found: dict[str, Any] = {"by_window": tuple(entropies[:, i].tolist())}
        for k, name in enumerate(("entropy", "octave", "slope")):
            found[name] = _known(values[:, i, k].mean())
            found |= {f"{name}_low": _known(low[i, k]), f"{name}_high": _known(high[i, k])}
        columns.append(found)
    return columns


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
