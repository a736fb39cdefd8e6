"""The entropy of every cut of one matrix, beside its draws of both controls."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from analysis.numerics.entanglement.cuts import Side, Sites, reversed_order
from analysis.numerics.entanglement.entropy import entropy
from analysis.numerics.entanglement.entropy_controls import isospectral, permuted
from analysis.numerics.entanglement.matrix_sides import Sides

NEGLIGIBLE = 1e-9  # of σ₁: squared, it is below float64's digits


@dataclass(frozen=True)
class Options:
    """How many draws of each control, from which seed, and the largest smaller side of a cut."""

    draws: int
    seed: int
    largest: int


@dataclass(frozen=True, eq=False)
class CutCurves:
    """Entropies in nats of the cuts l = 1 ... s-1: the matrix' own and (draws, cuts) controls."""

    own: np.ndarray
    isospectral: np.ndarray
    permuted: np.ndarray


def cut_curves(
    sides: Sides, values: np.ndarray, sites: tuple[Sites, Sites], options: Options
) -> CutCurves:
    """Return the curves of a matrix with singular values σ > 0 and these rows' and columns' sites.

    Entropies are NaN where a cut's smaller side is beyond `options.largest`.
    """
    kept = values[values > NEGLIGIBLE * values[0]]
    centre = float(entropy(torch.from_numpy(kept / kept[0]).square()))
    rows, columns = sites
    left = _side(sides.by_rows, kept, rows, options, [options.seed, 0])
    right = _side(
        lambda: sides.by_columns().at(reversed_order(columns)),
        kept, columns[::-1], options, [options.seed, 1],
    )  # fmt: skip
    joined = [
        np.concatenate([a, np.full((*a.shape[:-1], 1), centre), b[..., ::-1]], axis=-1)
        for a, b in zip(left, right, strict=True)
    ]
    return CutCurves(*joined)


def _side(
    made: Callable[[], Side], values: np.ndarray, chain: Sites, options: Options, seed: list[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the curves of one side's cuts, those of a chain of sites."""
    none = np.empty((options.draws, 0))
    if len(chain) < 2:
        return np.empty(0), none, none
    side, largest = made(), options.largest
    own = np.array(side.entropies(chain, largest))
    shuffled = permuted(side, chain, draws=options.draws, seed=seed, largest=largest)
    del side
    drawn = isospectral(values, chain, draws=options.draws, seed=seed, largest=largest)
    return own, drawn, shuffled
