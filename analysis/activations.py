"""Activations: how many directions they use, how small a key/value cache could be, where W acts.

A calibration keeps G = Σ x xᵀ / N of what each linear layer reads. The eigenvalues of G are then
the spectrum of its input and those of W G Wᵀ the spectrum of its output W x, for the price of two
decompositions and without another pass (see `numerics/activation_spectra.py`). Second moments are
not centred, and a bias, which is one known vector, is left out.

Keys and values are measured per key/value head, as linear layers give them: keys before any norm
and before rotary position embedding. The cache bytes are those of keys and values kept by their
coordinates in the leading directions of each head, as in Eigen Attention (Saxena et al. 2024),
https://arxiv.org/abs/2408.05646. They are predicted: no model here keeps its cache so yet, and 95 %
of the energy is not 95 % of the quality.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from analysis import weights
from analysis.compress.calibration import calibrate as calibration
from analysis.compress.pieces import Heads, NonFiniteLayer, Statistics
from analysis.compress.trials.stages import STATISTICS, Given, group_name
from analysis.compress.trials.targets import heads_of
from analysis.networks.opened import OpenedModel
from analysis.numerics.activation_columns import (
    NUMBER,
    Acts,
    Cache,
    Inputs,
    Outputs,
    Place,
    empty,
)
from analysis.numerics.activation_spectra import (
    Moments,
    moments,
    of_acts,
    of_inputs,
    of_outputs,
    output_values,
    through,
)
from analysis.numerics.columns import note
from analysis.registry import Report, register
from analysis.weights.refs import MatrixRef

CACHED = ("k", "v")


@dataclass(frozen=True)
class Params:
    """How to calibrate, in the words of a trial, so that both share their statistics."""

    calibrate: str | None = field(
        default=None,
        metadata={
            "help": "text to calibrate on (.txt, .jsonl, token ids as .npy, or hf:NAME of a hub "
            "dataset); not set: the bundled calibration text",
            "reads": True,
        },
    )
    gradient: str = field(
        default="full",
        metadata={
            "help": "how the covariance of output gradients is kept, for expected loss (none: no "
            "backward pass, no predicted loss)",
            "choices": ("full", "diagonal", "scalar", "none"),
        },
    )
    calibration_windows: int = field(
        default=64, metadata={"help": "windows of text to calibrate on", "min": 1}
    )
    calibration_length: int | None = field(
        default=None,
        metadata={"help": "tokens in each; not set: up to 256", "min": 2},
    )
    seed: int = field(default=0, metadata={"help": "seed of every draw", "min": 0})


@dataclass(frozen=True, kw_only=True)
class Row(Cache, Acts, Outputs, Inputs, Place):
    """One row per layer, and one per key/value head of its keys and values."""

    note: str | None = note("note", "what keeps the numbers from being read as they stand")


@register(title="Activations and KV-cache rank", view="activations", unit="stages")
def activations(given: Given, report: Report) -> Iterator[Row]:
    """Measure which directions activations use, from the second moments of a calibration.

    Raises NonFiniteLayer for a matrix with NaN or infinity.
    """
    yield from of_layers(given.opened, given.statistics, report)


def of_layers(opened: OpenedModel, statistics: Mapping[str, Path], report: Report) -> Iterator[Row]:
    """Yield the rows of the chosen layers; `statistics` has the folder of each group."""
    refs = [ref for ref in opened.source.run.matrices() if ref.label.layer in set(opened.layers)]
    heads, generates = heads_of(opened), opened.task == "causal"
    done = 0
    for folder, inside in _by_folder(refs, statistics).items():
        known = calibration.load(folder / STATISTICS)
        for reading in _by_input(inside, known):
            found = _moments(known.get(reading[0].label.layer))
            for ref in reading:
                report(done, len(refs), ref.label.layer)
                yield from _rows(ref, known.get(ref.label.layer), found, heads, generates)
                done += 1
    report(done, len(refs))


def _by_folder(
    refs: Sequence[MatrixRef], statistics: Mapping[str, Path]
) -> dict[Path, list[MatrixRef]]:
    """Return the layers by the folder that has their statistics, which is of a few blocks."""
    found: dict[Path, list[MatrixRef]] = {}
    for ref in refs:
        found.setdefault(statistics[group_name(ref.label.block)], []).append(ref)
    return found


def _by_input(refs: Sequence[MatrixRef], known: Mapping[str, Statistics]) -> list[list[MatrixRef]]:
    """Return the layers together that read the same input: their Gram matrix is one tensor."""
    found: dict[Any, list[MatrixRef]] = {}
    for ref in refs:
        own = known.get(ref.label.layer)
        found.setdefault(ref.label.layer if own is None else id(own.gram), []).append(ref)
    return list(found.values())


def _moments(known: Statistics | None) -> Moments | None:
    """Return what is known of an input; None where nothing is."""
    return moments(known.gram) if known is not None and known.gram.any() else None


def _rows(
    ref: MatrixRef,
    known: Statistics | None,
    found: Moments | None,
    heads: Heads | None,
    generates: bool,
) -> Iterator[Row]:
    """Yield a layer's row, then those of its heads; the cache of a layer is that of its heads."""
    if known is None or found is None:
        yield _unknown(ref, known)
        return
    P = through(_matrix(ref), found)
    parts = _heads(ref, P, heads)
    say = _remark(ref, known, split=bool(parts))
    whole = _row(_place(ref, None, len(P), known), P, found, say)
    own = [_row(_place(ref, h, len(p), known), p, found, say) for h, p in enumerate(parts)]
    if generates and ref.label.module in CACHED:
        own = [replace(row, **asdict(_cache([row]))) for row in own]
        whole = replace(whole, **asdict(_cache(own or [whole])))
    yield whole
    yield from own


def _row(place: Place, P: Tensor, found: Moments, remark: str | None) -> Row:
    outputs = of_outputs(output_values(P, found.values))
    acts = of_acts(P, found.values)
    inputs = of_inputs(found.values, whole=place.head is None)
    return Row(
        **vars(place), **vars(inputs), **vars(outputs), **vars(acts), **empty(Cache), note=remark
    )


def _cache(rows: Sequence[Row]) -> Cache:
    """Return what some rows keep of a token, each in its own directions."""
    return Cache(
        cache_bytes_95=NUMBER * sum(row.output_95 or 0 for row in rows),
        cache_bytes_99=NUMBER * sum(row.output_99 or 0 for row in rows),
        cache_bytes_full=NUMBER * sum(row.rows for row in rows),
    )


def _heads(ref: MatrixRef, P: Tensor, heads: Heads | None) -> Sequence[Tensor]:
    """Return the rows of P of each key/value head, () for what has no such heads."""
    if ref.label.module not in CACHED or heads is None:
        return ()
    return torch.split(P, heads.size) if len(P) == heads.key_value * heads.size else ()


def _place(ref: MatrixRef, head: int | None, rows: int, known: Statistics | None) -> Place:
    label, n = ref.label, ref.shape[1]
    tokens = None if known is None else known.tokens
    return Place(
        layer=label.layer,
        head=head,
        block=label.block,
        module=label.module,
        rows=rows,
        cols=n,
        tokens=tokens,
        tokens_by_input=None if tokens is None else tokens / n,
    )


def _remark(ref: MatrixRef, known: Statistics, *, split: bool) -> str | None:
    """Return what a reader should know about a row, None for nothing."""
    n, said = ref.shape[1], []
    if known.tokens < n:
        said.append(
            f"{known.tokens} tokens show at most {known.tokens} of {n} directions: raise "
            "calibration_windows"
        )
    if ref.label.module in CACHED and not split:
        said.append("its heads are not known, so it counts as one")
    return "; ".join(said) or None


def _unknown(ref: MatrixRef, known: Statistics | None) -> Row:
    """Return the row of a layer without an input, whose numbers are all null."""
    why = "no token reached it" if known is not None and not known.tokens else "its input was 0"
    remark = "not calibrated: it has no module of its own" if known is None else why
    place = _place(ref, None, ref.shape[0], known)
    return Row(**(empty(Row) | vars(place) | {"note": remark}))


def _matrix(ref: MatrixRef) -> Tensor:
    rows = weights.load(ref)
    W = rows.rows(0, rows.shape[0]).to(torch.float64)
    if not W.isfinite().all():
        raise NonFiniteLayer(ref.label.layer, "its weight")
    return W
