"""WeLore: which layers are low-rank (LRC) and which are not (N-LRC), from stored spectra.

One threshold τ on the normalised singular values s̃ = (σ - σ_min)/(σ_max - σ_min) of all linear
layers (embeddings, heads, convolutions and views that repeat entries take no part); a layer keeps
k = r - #(s̃ < τ) directions. A layer that loses at least `cutoff` of its rank is LRC: two factors
U√S and √S Vᵀ of k(m+n) numbers, to be trained. The others are N-LRC: dense and frozen.

Two results are told apart. *Nominal*: every layer factored at its k, as the published code does
with its default; that can hold more numbers than the dense layers. *Applied*: after the cutoff and
the guard, which leaves a layer dense where k(m+n) > mn. Ranks, parameters and bytes are three
numbers: a rank cut of 41 % can be 118 % of the parameters.

Jaiswal et al. (2024), https://arxiv.org/abs/2407.11239
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from analysis.numerics.break_even import break_even_rank, dense_because
from analysis.numerics.columns import count, note, ratio
from analysis.numerics.global_threshold import normalised, pruned, solve
from analysis.registry import AnalysisError, register
from analysis.weights.matrix import LayerSpectrum
from analysis.weights.outside import why_not_linear


@dataclass(frozen=True)
class Params:
    """How much rank to cut, and which layers to factor."""

    target_reduction: float = field(
        default=0.5,
        metadata={
            "help": "share of all ranks to cut, which sets the threshold",
            "min": 0,
            "max": 1,
        },
    )
    threshold: float | None = field(
        default=None,
        metadata={"help": "threshold on s̃, instead of the target", "min": 0.0, "max": 1.0},
    )
    cutoff: float = field(
        default=0.5,
        metadata={"help": "share of its rank a layer must lose to be LRC", "min": 0, "max": 1},
    )
    allow_above_break_even: bool = field(
        default=False,
        metadata={"help": "factor a layer even where its factors hold more than the layer"},
    )


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row per layer; `model_*` repeat the totals over the linear layers that take part."""

    layer: str = field(metadata={"title": "layer", "help": "its name in the model", "index": True})
    classification: str = note("class", "LRC: factored; N-LRC: dense; excluded: takes no part")
    reason: str | None = note("reason", "why the layer stays dense, where it does")
    threshold: float = note("threshold", "τ on the normalised singular values")
    full_rank: int = note("full rank", "r = min(m, n)")
    pruned: int | None = count("pruned", "directions with s̃ < τ")
    rank: int | None = count("kept rank", "k = r - pruned")
    reduction: float | None = ratio(
        "rank reduction", "pruned/r: a share of rank, not of parameters"
    )
    break_even_rank: int = note("break-even rank", "largest k with k(m+n) <= mn")
    parameters: int = count("parameters", "mn")
    nominal_parameters: int | None = count("nominal parameters", "k(m+n), factored regardless")
    applied_parameters: int | None = count("applied parameters", "k(m+n) if LRC, else mn")
    bytes: int = count("bytes", "of the layer as stored")
    nominal_bytes: int | None = count("nominal bytes", "of the factors, in the stored dtype")
    applied_bytes: int | None = count(
        "applied bytes", "after cutoff and guard, in the stored dtype"
    )
    model_nominal_reduction: float = ratio(
        "nominal rank cut (layers that take part)",
        "Σ pruned/Σ r over the linear layers that take part",
    )
    model_applied_reduction: float = ratio(
        "applied rank cut (layers that take part)",
        "Σ pruned of LRC layers/Σ r over the linear layers that take part",
    )
    model_nominal_parameter_ratio: float = ratio(
        "nominal parameters (layers that take part)",
        "share of the dense Σ mn over the linear layers that take part",
    )
    model_applied_parameter_ratio: float = ratio(
        "applied parameters (layers that take part)",
        "share of the dense Σ mn over the linear layers that take part",
    )
    model_nominal_byte_ratio: float = ratio(
        "nominal bytes (layers that take part)",
        "share of the dense bytes over the linear layers that take part",
    )
    model_applied_byte_ratio: float = ratio(
        "applied bytes (layers that take part)",
        "share of the dense bytes over the linear layers that take part",
    )


@dataclass(frozen=True)
class Cut:
    """What the threshold does to one layer of m x n entries of `itemsize` bytes."""

    shape: tuple[int, int]
    itemsize: int
    full: int
    pruned: int
    reason: str | None  # why it stays dense; None: factored

    @property
    def rank(self) -> int:
        """Directions kept at the threshold."""
        return self.full - self.pruned

    @property
    def dense(self) -> int:
        """Parameters of the layer."""
        return self.shape[0] * self.shape[1]

    @property
    def nominal(self) -> int:
        """Parameters of the two factors."""
        return self.rank * sum(self.shape)

    @property
    def applied(self) -> int:
        """Parameters after cutoff and guard."""
        return self.dense if self.reason else self.nominal


@register(title="WeLore classification", view="welore", unit="spectra", version=2)
def welore(spectra: Sequence[LayerSpectrum], params: Params) -> Iterator[Row]:
    """Classify each linear layer as low-rank or not, at one threshold for the whole model.

    Layers of other kinds come as rows of class "excluded". Raises AnalysisError when no layer takes
    part.
    """
    taking = [layer for layer in spectra if excluded(layer) is None]
    if not taking:
        raise AnalysisError(
            f"none of the {len(spectra)} layers is a linear layer with a non-zero entry: "
            "there is nothing to classify"
        )
    scaled = [normalised(layer.spectrum.values, layer.spectrum.noise_floor) for layer in taking]
    given = params.threshold
    threshold = solve(scaled, params.target_reduction) if given is None else given
    cuts = {
        layer.label.layer: cut(layer, pruned(s, threshold), params)
        for layer, s in zip(taking, scaled, strict=True)
    }
    totals = model_totals(list(cuts.values()))
    for layer in spectra:
        yield _row(layer, cuts.get(layer.label.layer), threshold, totals)


def excluded(layer: LayerSpectrum) -> str | None:
    """Return why a layer takes no part, or None."""
    why = why_not_linear(layer.label)
    if why is None and layer.spectrum.values[0] == 0:
        why = "every entry is zero"
    return None if why is None else f"takes no part: {why}"


def cut(layer: LayerSpectrum, count: int, params: Params) -> Cut:
    """Return what pruning `count` directions does, with the reason where the layer stays dense."""
    spectrum = layer.spectrum
    shape, full = (spectrum.rows, spectrum.cols), len(spectrum.values)
    itemsize = getattr(torch, layer.dtype).itemsize
    reason = dense_because(
        shape, count, cutoff=params.cutoff, allow_above_break_even=params.allow_above_break_even
    )
    return Cut(shape, itemsize, full, count, reason)


def model_totals(cuts: Sequence[Cut]) -> dict[str, float]:
    """Return rank, parameter and byte shares of the layers that take part, nominal and applied."""
    ranks = sum(c.full for c in cuts)
    dense, size = sum(c.dense for c in cuts), sum(c.dense * c.itemsize for c in cuts)
    return {
        "model_nominal_reduction": sum(c.pruned for c in cuts) / ranks,
        "model_applied_reduction": sum(c.pruned for c in cuts if not c.reason) / ranks,
        "model_nominal_parameter_ratio": sum(c.nominal for c in cuts) / dense,
        "model_applied_parameter_ratio": sum(c.applied for c in cuts) / dense,
        "model_nominal_byte_ratio": sum(c.nominal * c.itemsize for c in cuts) / size,
        "model_applied_byte_ratio": sum(c.applied * c.itemsize for c in cuts) / size,
    }


def _row(layer: LayerSpectrum, made: Cut | None, threshold: float, totals: dict[str, Any]) -> Row:
    spectrum = layer.spectrum
    entries = spectrum.rows * spectrum.cols
    return Row(
        layer=layer.label.layer,
        threshold=threshold,
        full_rank=len(spectrum.values),
        break_even_rank=break_even_rank(spectrum.rows, spectrum.cols),
        parameters=entries,
        bytes=entries * getattr(torch, layer.dtype).itemsize,
        **(_excluded(layer) if made is None else _included(made)),
        **totals,
    )


def _included(made: Cut) -> dict[str, Any]:
    return {
        "classification": "N-LRC" if made.reason else "LRC",
        "reason": made.reason,
        "pruned": made.pruned,
        "rank": made.rank,
        "reduction": made.pruned / made.full,
        "nominal_parameters": made.nominal,
        "applied_parameters": made.applied,
        "nominal_bytes": made.nominal * made.itemsize,
        "applied_bytes": made.applied * made.itemsize,
    }


def _excluded(layer: LayerSpectrum) -> dict[str, Any]:
    measured = ("pruned", "rank", "reduction", "nominal_parameters", "applied_parameters")
    nulls = dict.fromkeys((*measured, "nominal_bytes", "applied_bytes"))
    return {"classification": "excluded", "reason": excluded(layer), **nulls}
