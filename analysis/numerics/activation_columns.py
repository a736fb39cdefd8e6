"""Columns of activations: what a layer reads and gives, where it acts, what a cache would hold.

The formulas are in `activation_spectra.py`. A column is null where nothing is known of it.
"""

from dataclasses import dataclass, field, fields
from typing import Any

from analysis.numerics.columns import count, note, ratio

MOST_POSITIONS = 128
NUMBER = 2  # bytes of a float16


@dataclass(frozen=True, kw_only=True)
class Place:
    """Which layer, or which of its heads, and what its statistics are made of."""

    layer: str = field(metadata={"title": "layer", "help": "its name in the model", "index": True})
    head: int | None = field(
        metadata={
            "title": "head",
            "help": "key/value head, of layers k and v; none: the whole layer",
            "index": True,
        }
    )
    block: int | None = note("block", "none: outside of blocks")
    module: str = note("module", "what the layer does: q, k, v, o, gate, up, down, ...")
    rows: int = note("rows", "outputs m: of a head, its own")
    cols: int = note("columns", "inputs n")
    tokens: int | None = note("tokens", "N, those in G")
    tokens_by_input: float | None = ratio("tokens by inputs", "N/n; below 2, G is poor")


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Columns about x, the input of a layer; null where no token reached it."""

    input_dimension: float | None = count(
        "input dimension", "participation ratio (Σλ)²/Σλ² of the eigenvalues of G, not centred"
    )
    input_effective_rank: float | None = count(
        "input effective rank", "exp of the entropy of λ/Σλ (Roy and Vetterli)"
    )
    input_95: int | None = count("input directions, 95 %", "that hold 95 % of its energy")
    input_99: int | None = count("input directions, 99 %", "that hold 99 % of its energy")
    input_values: tuple[float, ...] | None = note(
        "input spectrum",
        "eigenvalues λ of G = Σ x xᵀ/N, not centred, descending; null for heads, which read the "
        "same input",
    )


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Columns about W x, the output of a layer without its bias."""

    output_dimension: float | None = count(
        "output dimension", "participation ratio of the eigenvalues of W G Wᵀ, without the bias"
    )
    output_effective_rank: float | None = count(
        "output effective rank", "exp of the entropy of these eigenvalues, as shares"
    )
    output_95: int | None = count("output directions, 95 %", "that hold 95 % of its energy")
    output_99: int | None = count("output directions, 99 %", "that hold 99 % of its energy")
    output_values: tuple[float, ...] | None = note(
        "output spectrum", "eigenvalues of W G Wᵀ, descending: min(m, n) of them, others are 0"
    )


@dataclass(frozen=True, kw_only=True)
class Acts:
    """Columns about where W acts: how much of it meets the directions that its input has."""

    acts_at: tuple[float, ...] | None = note(
        "k of `acts`", f"numbers of leading eigenvectors of G, at most {MOST_POSITIONS}"
    )
    acts: tuple[float, ...] | None = note(
        "where W acts", "‖W V_k‖²/‖W‖² for these k; W in random directions has k/n"
    )
    acts_95: float | None = ratio(
        "share of W in 95 % of the input",
        "of ‖W‖², in the fewest eigenvectors of G that hold 95 % of its energy",
    )
    acts_95_chance: float | None = ratio(
        "the same by chance", "k/n: what W in random directions would have there"
    )


@dataclass(frozen=True, kw_only=True)
class Cache:
    """Columns of keys and values in a model that generates; null for all other layers."""

    cache_bytes_95: int | None = count(
        "cache bytes, 95 %",
        "predicted for a token: directions that hold 95 % of the energy, of each key/value head by "
        "itself, times 2 bytes (float16); keys before rotary position embedding",
        unit="B",
    )
    cache_bytes_99: int | None = count(
        "cache bytes, 99 %", "the same for 99 % of the energy", unit="B"
    )
    cache_bytes_full: int | None = count(
        "cache bytes now", "for a token: all numbers, times 2 bytes (float16)", unit="B"
    )


def empty(columns: Any) -> dict[str, Any]:
    """Return these columns with nothing known in any."""
    return {column.name: None for column in fields(columns)}
