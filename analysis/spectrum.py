"""Weight spectra: every rank, tail and bulk measure of a matrix, from one decomposition.

The formulas stand in `analysis/numerics`, each beside the column it fills: `ranks` (effective,
stable, energy and numerical ranks), `noise_floor`, `noise_ratio` (relative to noise of the same
shape), `bulk` (Marchenko-Pastur, Tracy-Widom, Gavish-Donoho), `power_law`, and `weightwatcher` (the
table of that tool, with its defects mended). Measures of an update (of an adapter, or a difference
of checkpoints) use the singular values above the noise floor only, and `basis` says so.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from analysis.numerics.bulk import Bulk
from analysis.numerics.columns import note
from analysis.numerics.measures import Options, Shuffled, measures
from analysis.numerics.noise_ratio import NoiseRatios
from analysis.numerics.power_law import PowerLaw
from analysis.numerics.ranks import Ranks
from analysis.numerics.weightwatcher import WeightWatcher
from analysis.registry import Array, register
from analysis.weights.matrix import Matrix, ZeroMatrix
from analysis.weights.updates import is_update


@dataclass(frozen=True)
class Params:
    """What changes a spectrum's measures, and which views of the tensors are taken."""

    seed: int = field(
        default=0, metadata={"help": "seed of the shuffle, the noise and the bootstrap", "min": 0}
    )
    bootstrap: int = field(
        default=0,
        metadata={"help": "synthetic sets for the power law's p-value", "min": 0, "max": 10000},
    )
    noise_sigma: float | None = field(
        default=None,
        metadata={"help": "noise in each entry, where known, for Gavish-Donoho", "min": 0.0},
    )
    vectors: bool = field(
        default=False, metadata={"help": "keep the leading 64 left and right singular vectors"}
    )
    heads: bool = field(
        default=False, metadata={"help": "also profile every attention head", "selects": True}
    )
    slices: bool = field(
        default=False,
        metadata={"help": "also profile every kernel position of a convolution", "selects": True},
    )


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """Leading singular vectors as columns, at most 64 and none below the noise floor."""

    left_vectors: Array | None = note(  # noqa: RUF009  a field
        "left singular vectors", "m x k, float16, on request"
    )
    right_vectors: Array | None = note(  # noqa: RUF009  a field
        "right singular vectors", "n x k, float16, on request"
    )


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What was measured."""

    rows: int = note("rows", "rows of the matrix")
    cols: int = note("columns", "columns of the matrix")
    effective_dtype: str = note(
        "effective dtype",
        "coarsest format that holds every entry: what the values were rounded to; one entry "
        "outside a format makes the whole matrix count as the next wider one",
    )
    basis: str = note("measured on", "all singular values, or those above the noise floor")


@dataclass(frozen=True, kw_only=True)
class Row(Vectors, WeightWatcher, PowerLaw, Shuffled, Bulk, NoiseRatios, Ranks, Shape):
    """One row per matrix; each field is a column (the bases' fields in reverse order)."""


@register(title="Weight spectra", view="spectrum", unit="matrix", version=2)
def spectrum(matrix: Matrix, params: Params) -> Iterator[Row]:
    """Measure the singular values of one weight matrix.

    Raises NonFinite when an entry is NaN or infinite, and ZeroMatrix when all are zero or nothing
    of an update is above its noise floor.
    """
    own = matrix.spectrum()
    if own.values[0] == 0:
        raise ZeroMatrix(f"{matrix.label.layer}: every entry is zero, there is nothing to measure")
    delta = is_update(matrix.label.view)
    if delta and own.values[0] <= own.noise_floor:
        raise ZeroMatrix(
            f"{matrix.label.layer}: its largest singular value, {own.values[0]:.3g}, is below the "
            f"noise floor of {own.noise_floor:.3g}: all of the update may be rounding"
        )
    found = measures(
        own.values,
        matrix.shape,
        own.noise_floor,
        shuffled=matrix.shuffled(params.seed).values,
        noise=matrix.noise(params.seed).values,
        options=Options(params.seed, params.bootstrap, params.noise_sigma, signal_only=delta),
    )
    vectors: tuple[Any, Any] = matrix.leading_vectors() if params.vectors else (None, None)
    yield Row(
        rows=matrix.shape[0],
        cols=matrix.shape[1],
        effective_dtype=own.effective_dtype,
        basis="σ above the noise floor" if delta else "all σ",
        **found,
        left_vectors=vectors[0],
        right_vectors=vectors[1],
    )
