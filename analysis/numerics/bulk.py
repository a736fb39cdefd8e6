"""Signal against the bulk: what stands out of a matrix if most of it is noise.

The level of the bulk comes from the median, which is that of the noise as long as most of the
singular values are. Where fewer than half of them are above the noise floor there is no such bulk,
and every estimate from the median is null, with the reason.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.numerics import gavish_donoho, marchenko_pastur, tracy_widom
from analysis.numerics.columns import count, norm, note


@dataclass(frozen=True, kw_only=True)
class Bulk:
    """Columns of the random-matrix estimators; edges are singular values, to draw on a decay."""

    mp_sigma: float | None = norm(
        "bulk σ", "√(median(σ²)/μ_β): standard deviation of the bulk's entries times √max(m, n)"
    )
    mp_edge: float | None = norm("Marchenko-Pastur edge", "largest σ of the bulk, mp_sigma (1+√β)")
    mp_spikes: int | None = count("spikes above the MP edge", "σ above the Marchenko-Pastur edge")
    tw_edge: float | None = norm(
        "Tracy-Widom edge", "the σ that noise of this bulk exceeds with probability 5 %"
    )
    tw_spikes: int | None = count("spikes above the TW edge", "σ above the Tracy-Widom edge")
    gavish_donoho_cut: float | None = norm(
        "Gavish-Donoho cut", "optimal hard threshold, noise from the median"
    )
    gavish_donoho_rank: int | None = count(
        "Gavish-Donoho rank", "σ above the optimal hard threshold, noise from the median"
    )
    gavish_donoho_known_rank: int | None = count(
        "Gavish-Donoho rank (known noise)",
        "σ above the optimal hard threshold for the given noise per entry; null unless given",
    )
    median_reason: str | None = note(
        "no bulk", "why the estimators built on the median are null, where they are"
    )


def bulk(
    values: np.ndarray, shape: tuple[int, int], numerical_rank: int, noise: float | None = None
) -> Bulk:
    """Measure descending singular values against a random bulk of the same shape.

    `noise` is the standard deviation of the noise in each entry, where it is known.
    """
    reason = no_bulk(numerical_rank, min(shape))
    known = None if noise is None else gavish_donoho.threshold_known(shape, noise)
    found: dict[str, Any] = {} if reason else _from_median(values, shape)
    names = ("mp_sigma", "mp_edge", "mp_spikes", "tw_edge", "tw_spikes")
    return Bulk(
        **{name: found.get(name) for name in (*names, "gavish_donoho_cut", "gavish_donoho_rank")},
        gavish_donoho_known_rank=None if known is None else int((values > known).sum()),
        median_reason=reason,
    )


def no_bulk(numerical_rank: int, full: int) -> str | None:
    """Return why the median says nothing about noise, or None when it does."""
    if full < 2:
        return "a single singular value has no bulk"
    if numerical_rank < full / 2:
        return f"only {numerical_rank} of {full} singular values are above the noise floor"
    return None


def _from_median(values: np.ndarray, shape: tuple[int, int]) -> dict[str, Any]:
    beta = min(shape) / max(shape)
    variance = marchenko_pastur.variance_from_median(values, beta)
    edge = float(np.sqrt(variance * marchenko_pastur.edges(beta)[1]))
    tw_edge = float(np.sqrt(variance * tracy_widom.edge(*shape)))
    cut = gavish_donoho.threshold_unknown(values, shape)
    return {
        "mp_sigma": variance**0.5,
        "mp_edge": edge,
        "mp_spikes": int((values > edge).sum()),
        "tw_edge": tw_edge,
        "tw_spikes": int((values > tw_edge).sum()),
        "gavish_donoho_cut": cut,
        "gavish_donoho_rank": int((values > cut).sum()),
    }
