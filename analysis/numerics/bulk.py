"""Signal against the bulk: what stands out of a matrix if most of it is noise.

The level of the bulk comes from the median, which is that of the noise as long as most of the
singular values are. Where fewer than half of them are above the noise floor there is no such bulk,
and of fewer than 10 the median says too little: every estimate from it is then null, with the
reason.

The Tracy-Widom edge is meant to be passed by 5 % of noise matrices. With the level known it is, by
4 to 7 %; with the level from the median, which scatters, by (share of Gaussian draws)

    square: 16 x 16 and less  15 %,  32 x 32  13 %,  64 x 64 to 256 x 256  9 to 12 %
    twice as long as wide, or longer  5 to 7 %
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.numerics import gavish_donoho, marchenko_pastur, tracy_widom
from analysis.numerics.columns import count, norm, note
from analysis.numerics.power_law import FEWEST, few

FALSE_POSITIVES = (
    "10 % of square noise matrices (15 % at 16 x 16, 12 % at 64 x 64) and 6 % of those twice as "
    "long as wide"
)


@dataclass(frozen=True, kw_only=True)
class Bulk:
    """Columns of the random-matrix estimators; edges are singular values, to draw on a decay."""

    mp_sigma: float | None = norm(
        "bulk σ", "√(median(σ²)/μ_β): standard deviation of the bulk's entries times √max(m, n)"
    )
    mp_edge: float | None = norm("Marchenko-Pastur edge", "largest σ of the bulk, mp_sigma (1+√β)")
    mp_spikes: int | None = count("spikes above the MP edge", "σ above the Marchenko-Pastur edge")
    tw_edge: float | None = norm(
        "Tracy-Widom edge",
        "the σ that 5 % of noise matrices of a known level reach; as the level comes from the "
        f"median, about {FALSE_POSITIVES} reach it",
    )
    tw_spikes: int | None = count(
        "spikes above the TW edge",
        f"σ above the Tracy-Widom edge; about {FALSE_POSITIVES} have one by chance",
    )
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
    if full < FEWEST:
        return f"{few(full, 'singular value')}, and an estimate from the median needs {FEWEST}"
    if numerical_rank < full / 2:
        verb = "is" if numerical_rank == 1 else "are"
        return f"only {numerical_rank} of {full} singular values {verb} above the noise floor"
    return None


def _from_median(values: np.ndarray, shape: tuple[int, int]) -> dict[str, Any]:
    beta, top = min(shape) / max(shape), float(values[0])
    level = top * marchenko_pastur.variance_from_median(values / top, beta) ** 0.5
    edge = level * marchenko_pastur.edges(beta)[1] ** 0.5
    tw_edge = level * tracy_widom.edge(*shape) ** 0.5
    cut = gavish_donoho.threshold_unknown(values, shape)
    return {
        "mp_sigma": level,
        "mp_edge": edge,
        "mp_spikes": int((values > edge).sum()),
        "tw_edge": tw_edge,
        "tw_spikes": int((values > tw_edge).sum()),
        "gavish_donoho_cut": cut,
        "gavish_donoho_rank": int((values > cut).sum()),
    }
