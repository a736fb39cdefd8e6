"""Attention entanglement: how the entropy of attention matrices grows with the length of the text.

The attention matrix A (T x T, rows sum to one) of one head on one window of T tokens is read as a
bipartite state between looking and looked-at tokens: with singular values s and p = s²/Σs²,
S = -Σ p ln p in nats, at most ln T. Heads that all tokens look through alike have S near 0; a
permutation has ln T. The windows are nested: the shorter ones are the beginnings of the longest, so
that the slope of S per octave (a doubling of T) is paired. It is the least-squares slope over
log2 T; the interval is a 95 % bootstrap over windows.

To be held against: the maximum ln T; uniform attention under the same mask (causal: A_ij = 1/i,
whose slope is not 0 and not constant either; without a mask S = 0); and an estimate for softmax of
independent Gaussian logits, made for attention without a mask.

Chen et al. (2026), https://arxiv.org/abs/2601.06788
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from analysis.networks.errors import BadInput, NotRunnable, gives_nan
from analysis.networks.inputs import Inputs, check_text, text_field
from analysis.networks.opened import OpenedModel
from analysis.networks.positions import positions
from analysis.numerics.columns import note
from analysis.numerics.entanglement.attention_columns import (
    Growth,
    References,
    growth,
    references,
    uniform_entropy,
)
from analysis.numerics.entanglement.attention_state import is_causal, logit_deviation, state_entropy
from analysis.numerics.entanglement.octaves import octave_lengths
from analysis.registry import Report, Work, register
from analysis.weights.source import Source

SVD_SECONDS = 4e-10  # of T³, one core
RATE = 2e10  # operations a second of a forward pass


@dataclass(frozen=True)
class Params:
    """Which text, cut into how many windows of which lengths."""

    text: str | None = text_field()
    windows: int = field(
        default=16, metadata={"help": "windows of text that are averaged", "min": 1, "max": 1024}
    )
    shortest: int = field(default=16, metadata={"help": "tokens of the shortest length", "min": 2})
    longest: int = field(
        default=128,
        metadata={
            "help": "tokens of the longest length, reached by doubling; the model's positions "
            "limit it",
            "min": 2,
        },
    )
    bootstrap: int = field(
        default=1000,
        metadata={"help": "resamplings of the windows for the intervals", "min": 0, "max": 100000},
    )
    seed: int = field(default=0, metadata={"help": "seed of the resampling", "min": 0})


@dataclass(frozen=True, kw_only=True)
class Row(References, Growth):
    """One row per block, head and length; without a head it is the mean over the block's heads."""

    layer: str = field(metadata={"title": "layer", "help": "the block", "index": True})
    head: int | None = field(
        metadata={"title": "head", "help": "none: the mean over heads", "index": True}
    )
    length: int = field(metadata={"title": "T", "help": "tokens in a window", "index": True})
    windows: int = note("windows", "of text")
    mask: str = note("mask", "causal, or none")
    text: str = note("text", "what was read")
    site_order: str = note("cut", "between rows and columns of A: it has no other sites")
    log_base: str = note("logarithm", "base of all logarithms; lengths are in octaves")


def work(source: Source, params: Params, layers: Sequence[str]) -> Work:
    """Predict memory and time from the configuration, and refuse a text that is too short."""
    if not source.config:
        raise NotRunnable(
            f"{source.name} has no config.json, so nothing says that it has attention: give a "
            "transformers model"
        )
    chosen = _blocks(source, layers)
    heads, count = source.facts.heads or 1, len(chosen)
    lengths = _lengths(source.name, params, positions(source.config))
    check_text(source, params.text, params.windows, lengths[-1])
    svds = params.windows * count * heads * SVD_SECONDS * sum(t**3 for t in lengths)
    tokens = params.windows * sum(lengths)
    matrix = heads * lengths[-1] ** 2
    return Work(
        f"{params.windows} windows of {', '.join(map(str, lengths))} tokens: {tokens:,} token "
        f"passes, {params.windows * len(lengths) * count * heads:,} attention matrices",
        bytes=4 * source.run_parameters + matrix * (4 * source.blocks + 24 * count),
        seconds=svds + 2 * source.run_parameters * tokens / RATE,
        cure="set longest or windows lower",
    )


@register(
    title="Attention entanglement",
    view="attention_entanglement",
    unit="model",
    version=2,
    work=work,
)
def attention_entanglement(
    model: OpenedModel, inputs: Inputs, params: Params, report: Report
) -> Iterator[Row]:
    """Measure the entropy of attention matrices over text, and its growth with the length.

    Raises NotRunnable for a model without attention matrices, BadInput for a text that is too
    short or lengths that the model has no positions for.
    """
    if model.runs == "chain" or getattr(model.config, "is_encoder_decoder", False):
        raise NotRunnable(
            f"{model.name} is no decoder or encoder with attention over its own tokens: "
            "choose a model of that kind"
        )
    blocks = _blocks(model.source, model.layers)
    lengths = _lengths(model.name, params, positions(model.config.to_dict()))
    measured = _measure(model, _windows(model, inputs, params, lengths), lengths, blocks, report)
    uniform = [uniform_entropy(length, causal=measured.causal) for length in lengths]
    for place, block in enumerate(blocks):
        entropies, deviations = measured.entropies[:, place], measured.deviations[:, place]
        for head in (None, *range(entropies.shape[1])):
            pick = slice(None) if head is None else slice(head, head + 1)
            grown = growth(entropies[:, pick].mean(axis=1), lengths, params.bootstrap, params.seed)
            spread = deviations[:, pick].mean(axis=(0, 1))
            for i, length in enumerate(lengths):
                yield Row(
                    layer=f"blocks.{block}",
                    head=head,
                    length=length,
                    windows=params.windows,
                    mask="causal" if measured.causal else "none",
                    text=inputs.name,
                    site_order="row|column",
                    log_base="e",
                    **grown[i],
                    **references(length, float(spread[i]), uniform[i]),
                )


@dataclass(frozen=True, eq=False)
class _Measured:
    """Entropies and logit spreads, (windows, blocks, heads, lengths)."""

    entropies: np.ndarray
    deviations: np.ndarray
    causal: bool


def _measure(
    model: OpenedModel, windows: list[Tensor], lengths: list[int], blocks: list[int], report: Report
) -> _Measured:
    """Run each window at each length and take its attention matrices apart."""
    network, count = model.network(), len(windows[0])
    total, found, causal = count * len(lengths), [], True
    for w in range(count):
        of_window = []
        for i, length in enumerate(lengths):
            report(w * len(lengths) + i, total, f"window {w + 1} of {count}, {length} tokens")
            attention = _attention(model.name, network, windows[i][w : w + 1], blocks)
            causal = causal and is_causal(attention)
            of_window.append(torch.stack([state_entropy(attention), logit_deviation(attention)]))
        found.append(torch.stack(of_window, dim=-1))
    report(total, total)
    entropies, deviations = torch.stack(found, dim=1).numpy()
    return _Measured(entropies, deviations, causal)


def _attention(name: str, network: torch.nn.Module, ids: Tensor, blocks: list[int]) -> Tensor:
    """Return the attention matrices of the chosen blocks, (blocks, heads, T, T) float64."""
    device = next(network.parameters()).device
    with torch.no_grad():
        matrices = network(input_ids=ids.to(device), output_attentions=True).attentions
    if not matrices or len(matrices) <= blocks[-1] or any(matrices[b] is None for b in blocks):
        raise NotRunnable(
            f"{name} ({type(network).__name__}) gives no attention matrices: choose a model whose "
            "blocks all have attention"
        )
    found = torch.stack([matrices[b][0].double().cpu() for b in blocks])
    if not found.isfinite().all():
        raise gives_nan(name)
    return found


def _windows(
    model: OpenedModel, inputs: Inputs, params: Params, lengths: list[int]
) -> list[Tensor]:
    """Return the windows of each length, all with the same beginnings."""
    longest = inputs.windows(params.windows, lengths[-1])
    last = longest[:, -1:]
    if model.task == "causal" or not bool((last == last[0]).all()):
        return [longest[:, :length] for length in lengths]
    # An encoder's closing token closes the shorter windows too.
    return [torch.cat([longest[:, : length - 1], last], dim=1) for length in lengths]


def _lengths(name: str, params: Params, most: int | None) -> list[int]:
    longest = params.longest if most is None else min(params.longest, most)
    found = octave_lengths(params.shortest, longest)
    if not found:
        raise BadInput(
            f"{name} is to be read at {params.shortest} tokens or more and {longest} at most: "
            f"set shortest to {longest} or less"
        )
    return found


def _blocks(source: Source, layers: Sequence[str]) -> list[int]:
    """Return the numbers of the blocks that the chosen layers lie in."""
    chosen = set(layers)
    labels = [ref.label for ref in source.matrices()]
    found = {label.block for label in labels if label.layer in chosen and label.block is not None}
    if not found:
        raise NotRunnable(
            f"none of the chosen layers of {source.name} lies in a block with attention: "
            "choose layers such as blocks.0.*"
        )
    return sorted(found)
