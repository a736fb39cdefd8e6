"""Artificial entanglement: how strongly the digits of a weight's row and column index depend.

The sizes m and n of a matrix are split into their prime factors, in ascending order, the rows'
first: a tensor with one axis a factor, read as the state ψ = vec(W)/‖W‖_F of a chain of sites. A
cut after the first l sites makes it a matrix of D_L x D_R, with Schmidt weights p = s² and the
entropy S(l) = -Σ p ln p in nats. It is at most ln min(D_L, D_R), and for a matrix of rank r at most
min(ln D_L, ln D_R, ln r + |ln(D_L/m)|). A random state has Page's value.

Only σ above the matrix' noise floor are read (see `noise_floor`): below it they may be the rounding
of the stored format, and r counts the others.

The cut between rows and columns has the matrix' own singular values, and is the only one that no
change of basis moves. Its *deficit*, Page - S, is 0 for noise of any shape. Every rectangular
matrix has a *valley* there, noise as well: what the other cuts say beyond the singular values is
their departure from matrices with the same ones in random directions (see `entropy_controls`).

Chen et al. (2026), https://arxiv.org/abs/2601.06788
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from analysis.numerics.columns import count, note
from analysis.numerics.entanglement.cut_columns import (
    Controls,
    Curves,
    Headline,
    bands,
    headline,
    references,
)
from analysis.numerics.entanglement.cut_curves import CutCurves, Options, cut_curves
from analysis.numerics.entanglement.cuts import Sites, prime_factors
from analysis.numerics.entanglement.entropy_controls import (
    FEWEST,
    most_of_a_gram,
    operations_of_a_draw,
    operations_of_the_cuts,
)
from analysis.numerics.entanglement.matrix_sides import Sides
from analysis.registry import AnalysisError, Work, register
from analysis.weights.matrix import Matrix, ZeroMatrix
from analysis.weights.refs import MatrixRef
from analysis.weights.source import Source

ORDER = "ascending primes of the rows, then of the columns, row-major"
RATE = 5e10  # operations a second of one core here, for the prediction only
BILLION = 1e9
OVERHEAD = 2e-3  # seconds of a draw, however small


@dataclass(frozen=True)
class Params:
    """Which matrices are cut, and how many controls they are held against."""

    draws: int = field(
        default=30, metadata={"help": "draws of each control, 0 for none", "min": 0, "max": 1000}
    )
    seed: int = field(default=0, metadata={"help": "seed of the controls", "min": 0})
    most_work: float = field(
        default=4000.0,
        metadata={
            "help": "billions of operations that the controls of one matrix may take (4000: about "
            "80 seconds); a large matrix gets fewer draws",
            "min": 0.0,
        },
    )
    largest: int = field(
        default=8192,
        metadata={"help": "cuts whose smaller side is beyond this are left out", "min": 2},
    )
    heads: bool = field(
        default=False, metadata={"help": "also cut every attention head", "selects": True}
    )


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What was cut, and how."""

    rows: int = note("rows", "rows of the matrix")
    cols: int = note("columns", "columns of the matrix")
    numerical_rank: int = count("numerical rank", "singular values above the noise floor")
    basis: str = note("measured on", "all singular values, or those above the noise floor")
    site_dims: str = note("sites", "dimensions of the rows' sites | of the columns'")
    site_order: str = note("site order", "how rows and columns are split into sites")
    log_base: str = note("logarithm", "base of all logarithms")
    row_column: int = note("row|column cut", "its number l, counting from 1")
    draws: int = note("draws", "of each control")
    remark: str | None = note("remark", "why draws or cuts are left out, where they are")


@dataclass(frozen=True, kw_only=True)
class Row(Controls, Curves, Headline, Cut):
    """One row per matrix; each field is a column (the bases' fields in reverse order)."""


def work(source: Source, params: Params, layers: Sequence[str]) -> Work:
    """Predict memory and time from the shapes of the chosen matrices."""
    chosen = set(layers)
    refs = [ref for ref in source.matrices(heads=params.heads) if ref.label.layer in chosen]
    sites = [(prime_factors(m), prime_factors(n)) for m, n in (ref.shape for ref in refs)]
    ranks = [min(ref.shape) for ref in refs]
    draws = [_affordable(*pair, rank, params) for pair, rank in zip(sites, ranks, strict=True)]
    operations = sum(
        operations_of_the_cuts(*pair, params.largest)
        + count * operations_of_a_draw(*pair, rank, params.largest)
        for pair, rank, count in zip(sites, ranks, draws, strict=True)
    )
    sizes = (
        _bytes(ref, pair, bool(count), params.largest)
        for ref, pair, count in zip(refs, sites, draws, strict=True)
    )
    cuts = sum(len(rows) + len(columns) - 1 for rows, columns in sites)
    return Work(
        f"{cuts} cuts of {len(refs)} matrices, {sum(draws)} draws of each of the two controls",
        bytes=max(sizes, default=0),
        seconds=operations / RATE + OVERHEAD * sum(draws),
        cure="choose smaller layers with --layers, or set draws=0",
    )


def _bytes(ref: MatrixRef, sites: tuple[Sites, Sites], has_draws: bool, largest: int) -> int:
    """Return what a matrix takes: itself and a copy, Gram matrices, a random frame being made."""
    entries, short = math.prod(ref.shape), min(ref.shape)
    stored = 2 * entries * int(getattr(torch, ref.dtype).itemsize)
    grams = 2 * short**2 + 4 * max(most_of_a_gram(side, entries, largest) for side in sites) ** 2
    return stored + 8 * (grams + 3 * entries * has_draws)


@register(title="Entanglement", view="entanglement", unit="matrix", version=2, work=work)
def entanglement(matrix: Matrix, params: Params) -> Iterator[Row]:
    """Measure the entropy of every cut of one weight matrix, against its bounds and controls.

    Raises NonFinite when an entry is NaN or infinite, ZeroMatrix when all are zero or nothing is
    above the noise floor, AnalysisError when there is a single row or column.
    """
    m, n = matrix.shape
    if min(m, n) < 2:
        raise AnalysisError(
            f"{matrix.label.layer} is {m} x {n}: a single row or column has no row|column cut"
        )
    spectrum = matrix.spectrum()
    if spectrum.values[0] == 0:
        raise ZeroMatrix(f"{matrix.label.layer}: every entry is zero, there is nothing to measure")
    above = int((spectrum.values > spectrum.noise_floor).sum())
    if not above:
        raise ZeroMatrix(
            f"{matrix.label.layer}: its largest singular value, {spectrum.values[0]:.3g}, is below "
            f"the noise floor of {spectrum.noise_floor:.3g}: all of it may be rounding"
        )
    values = spectrum.values[:above]
    sites = prime_factors(m), prime_factors(n)
    draws = _affordable(*sites, len(values), params)
    options = Options(draws, params.seed, params.largest)
    curves = cut_curves(_sides(matrix, values), values, sites, options)
    yield Row(
        rows=m,
        cols=n,
        numerical_rank=above,
        basis="all σ" if above == min(m, n) else "σ above the noise floor",
        site_dims=" | ".join("·".join(map(str, side)) for side in sites),
        site_order=ORDER,
        log_base="e",
        row_column=len(sites[0]),
        draws=draws,
        remark=_remark(curves, draws, params) or None,
        **references(sites, above),
        **headline(curves.own, sites),
        **bands(curves, len(sites[0]) - 1),
    )


def _sides(matrix: Matrix, values: np.ndarray) -> Sides:
    factors = matrix.factors()
    if factors is not None:
        return Sides.product(*factors, rank=len(values))
    W = matrix.dense()
    unit = 2.0 ** math.frexp(float(values[0]))[1]  # a power of two changes no digit
    if len(values) < min(matrix.shape):
        return Sides.leading(W, len(values), unit)
    return Sides.whole(W, unit)


def _affordable(rows: Sites, columns: Sites, rank: int, params: Params) -> int:
    """Return how many draws the predicted cost allows; fewer than `FEWEST` are none."""
    one = operations_of_a_draw(rows, columns, rank, params.largest)
    possible = (
        params.draws if one == 0 else min(params.draws, int(BILLION * params.most_work // one))
    )
    return possible if possible >= FEWEST else 0


def _remark(curves: CutCurves, draws: int, params: Params) -> str:
    said = []
    if draws < params.draws:
        said.append(
            f"{draws} of {params.draws} draws of each control: more would take over "
            f"{params.most_work:g} billion operations (raise most_work for them)"
        )
    missing = int(np.isnan(curves.own).sum())
    if missing:
        said.append(
            f"{missing} cuts left out: their smaller side is beyond {params.largest} "
            "(raise largest for them)"
        )
    if len(curves.own) == 1:
        said.append("both sizes are prime: row|column is the only cut")
    return "; ".join(said)
