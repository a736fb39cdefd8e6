"""The columns that the cuts of a matrix fill, each beside what it holds, in nats."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.numerics.columns import exponent, note, ratio
from analysis.numerics.entanglement.cut_curves import CutCurves
from analysis.numerics.entanglement.cuts import Sites, left_dimensions
from analysis.numerics.entanglement.entropy import maximum, page_value, rank_bound
from analysis.numerics.entanglement.entropy_controls import departure


@dataclass(frozen=True, kw_only=True)
class Controls:
    """The bands of the two controls and how far the matrix lies from them."""

    isospectral_mean: tuple[float, ...] | None = note(
        "isospectral mean", "same σ, random directions, nats"
    )
    isospectral_low: tuple[float, ...] | None = note("isospectral low", "lowest of the draws, nats")
    isospectral_high: tuple[float, ...] | None = note(
        "isospectral high", "highest of the draws, nats"
    )
    permuted_mean: tuple[float, ...] | None = note(
        "permuted mean", "rows and columns in random order, nats"
    )
    permuted_low: tuple[float, ...] | None = note("permuted low", "lowest of the draws, nats")
    permuted_high: tuple[float, ...] | None = note("permuted high", "highest of the draws, nats")
    beyond_spectrum: float | None = exponent(
        "structure beyond the spectrum",
        "mean over all cuts but row|column of |S - mean of the isospectral draws|",
        unit="nats",
    )
    beyond_spectrum_signed: float | None = exponent(
        "signed structure beyond the spectrum",
        "the same mean without the bars: below zero, less entangled than the spectrum alone gives",
        unit="nats",
    )
    beyond_spectrum_deviations: float | None = exponent(
        "structure beyond the spectrum, in standard deviations",
        "how many standard deviations it lies above the same mean of each isospectral draw "
        "against the others: 0 ± 1 where there is none",
    )
    beyond_order: float | None = exponent(
        "effect of the order",
        "mean over all cuts but row|column of |S - mean of the permuted draws|",
        unit="nats",
    )
    beyond_order_deviations: float | None = exponent(
        "effect of the order, in standard deviations",
        "as above, against the permuted draws: 0 ± 1 where the order of rows and columns is chance",
    )


@dataclass(frozen=True, kw_only=True)
class Curves:
    """One value a cut, l = 1 to the number of sites - 1, in nats."""

    left: tuple[float, ...] = note("D_L", "product of the first l sites")
    entropy: tuple[float, ...] = note("entropy S(l)", "nats; NaN for a cut that is left out")
    maximum: tuple[float, ...] = note("maximum", "ln min(D_L, D_R), nats")
    rank_bound: tuple[float, ...] = note(
        "rank bound", "min(ln D_L, ln D_R, ln r + |ln(D_L/m)|), nats"
    )
    page: tuple[float, ...] = note("Page value", "mean over random states, nats")


@dataclass(frozen=True, kw_only=True)
class Headline:
    """What one number says of a matrix."""

    entropy_row_column: float = exponent(
        "entropy at row|column",
        "S of the singular values themselves; its exp is the effective rank (σ²) of the profile",
        unit="nats",
    )
    deficit: float = exponent(
        "deficit at row|column", "Page - S: 0 for noise of any shape", unit="nats"
    )
    deficit_factor: float = ratio(
        "deficit factor", "exp of the deficit: how many times fewer directions than noise has"
    )
    peak: float = exponent("peak", "largest S of all cuts", unit="nats")
    valley_depth: float = exponent(
        "valley depth",
        "peak - S at row|column: every rectangular matrix has one, noise as well",
        unit="nats",
    )


def references(sites: tuple[Sites, Sites], rank: int) -> dict[str, Any]:
    """Return the curves that only sizes and rank decide."""
    rows, size = math.prod(sites[0]), math.prod(sites[0] + sites[1])
    cuts = [(left, size // left) for left in left_dimensions(sites[0] + sites[1])]
    return {
        "left": tuple(float(left) for left, _ in cuts),
        "maximum": tuple(maximum(*cut) for cut in cuts),
        "rank_bound": tuple(rank_bound(*cut, rows, rank) for cut in cuts),
        "page": tuple(page_value(*cut) for cut in cuts),
    }


def headline(own: np.ndarray, sites: tuple[Sites, Sites]) -> dict[str, Any]:
    """Return the numbers of `Headline` and the curve they are taken from."""
    centre, peak = float(own[len(sites[0]) - 1]), float(np.nanmax(own))
    deficit = page_value(math.prod(sites[0]), math.prod(sites[1])) - centre
    return {
        "entropy": tuple(own.tolist()),
        "entropy_row_column": centre,
        "deficit": deficit,
        "deficit_factor": math.exp(deficit),
        "peak": peak,
        "valley_depth": peak - centre,
    }


def bands(curves: CutCurves, centre: int) -> dict[str, Any]:
    """Return both controls' bands and the matrix' departure from them; None without draws."""
    found: dict[str, Any] = {}
    for name, drawn in (("isospectral", curves.isospectral), ("permuted", curves.permuted)):
        for word, reduced in (("mean", np.mean), ("low", np.min), ("high", np.max)):
            band = tuple(reduced(drawn, axis=0).tolist()) if len(drawn) else None
            found[f"{name}_{word}"] = band
        counted = np.isfinite(curves.own) & np.isfinite(drawn).all(axis=0)
        counted[centre] = False
        departed: Any = (None, None, None)
        if len(drawn) and counted.any():
            departed = departure(curves.own[counted], drawn[:, counted])
        stem = {"isospectral": "beyond_spectrum", "permuted": "beyond_order"}[name]
        found |= {stem: departed[0], f"{stem}_deviations": departed[2]}
        if name == "isospectral":
            found["beyond_spectrum_signed"] = departed[1]
    return found
