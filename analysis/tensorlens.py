"""TensorLens: which token of the input makes which part of a transformer's output.

For one window of text the attention patterns, the variances in the norms and the activation ratios
phi(z)/z are frozen. The model is then affine in its residual stream, y_i = sum_j T_ij x_j + b_i,
and c_ij = T_ij x_j is what source token j contributes to token i: exact, and additive with the
biases. Four readings of it: the signed share <c_ij, y_i>/||y_i||^2, the norm ||c_ij||, the
Frobenius norm ||T_ij||_F (by seeded probes), and w_i . c_ij in units of a logit. What the map
misses of the real output stands in every row.

The map belongs to this window: T is not the model's derivative, and where a gate multiplies two
functions of the stream, T depends on which of them is taken as the ratio (`gating`).

TensorLens (2026), https://arxiv.org/abs/2601.17958
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from torch import Tensor

from analysis.networks.errors import BadInput, NotRunnable
from analysis.networks.inputs import Inputs, check_text, text_field
from analysis.networks.lens import target as lens_target
from analysis.networks.lens.contributions import contributions, frobenius
from analysis.networks.lens.cost import cost
from analysis.networks.lens.deletion import RUNS_OF_A_WINDOW, deletion
from analysis.networks.lens.freezing import FAMILIES, GATINGS, family_named, freeze
from analysis.networks.lens.frozen import Frozen, missed
from analysis.networks.opened import OpenedModel
from analysis.networks.transformer import task_of
from analysis.numerics.attention_rollout import attention_rollout
from analysis.numerics.lens_columns import Deleted, Explained, Maps, Setting
from analysis.numerics.paired_interval import paired_interval
from analysis.registry import Report, Work, register
from analysis.weights.source import Source

SPANS = ("whole", "each block", "up to each block")


@dataclass(frozen=True)
class Params:
    """Which window of the text, which blocks, and what is estimated."""

    text: str | None = text_field()
    window: int = field(default=0, metadata={"help": "window of the text, from 0", "min": 0})
    length: int = field(default=48, metadata={"help": "tokens in the window", "min": 2, "max": 128})
    start: int = field(default=0, metadata={"help": "first block of the span", "min": 0})
    stop: int | None = field(
        default=None, metadata={"help": "block after the span's last; none: to the end", "min": 1}
    )
    spans: str = field(
        default="whole",
        metadata={
            "help": "more spans beside the whole: each block, or the first 1, 2, ... of them",
            "choices": SPANS,
        },
    )
    probes: int = field(
        default=8,
        metadata={"help": "random probes of each Frobenius norm; 0: none", "min": 0, "max": 256},
    )
    gating: str = field(
        default="up",
        metadata={
            "help": "where a gate's ratio goes: on the path of up, of gate, or half on each",
            "choices": GATINGS,
        },
    )
    position: int | None = field(
        default=None,
        metadata={
            "help": "target token, counting from 0; none: the last (of an encoder, the one before)",
            "min": 0,
        },
    )
    token: int | None = field(
        default=None,
        metadata={"help": "id whose logit is explained; none: the model's prediction", "min": 0},
    )
    deletion_windows: int = field(
        default=0,
        metadata={
            "help": "windows of the deletion test (50 give a fair interval); 0: not run",
            "min": 0,
            "max": 1000,
        },
    )
    seed: int = field(default=0, metadata={"help": "seed of probes and random orders", "min": 0})


@dataclass(frozen=True, kw_only=True)
class Row(Deleted, Maps, Explained, Setting):
    """One row per span of blocks (the bases' fields in reverse order)."""


def work(source: Source, params: Params, layers: Sequence[str]) -> Work:
    """Predict memory and time from headers; refuse what cannot be frozen, and text too short."""
    read = source.run
    if not read.config:
        raise NotRunnable(
            f"{source.name} has no config.json, so there is no forward pass: TensorLens needs a "
            f"transformer ({', '.join(FAMILIES)})"
        )
    family_named(str(read.config.get("model_type", "")), source.name)
    spans = _spans(params, read.blocks)
    deep = sum(stop - start for start, stop in spans)
    lens_target.check_position(task_of(source) == "classifier", params.position, params.length)
    check_text(source, params.text, _windows(params), params.length)
    runs = params.length * (1 + params.probes)
    return cost(source, params.length, runs, deep, params.deletion_windows, params.probes)


@register(title="TensorLens", view="tensorlens", unit="model", version=2, work=work, by_layer=False)
def tensorlens(model: OpenedModel, inputs: Inputs, params: Params, report: Report) -> Iterator[Row]:
    """Split each token's final hidden state, and its logit, into what every token contributes.

    Raises NotRunnable for a model whose blocks cannot be frozen, or whose frozen map misses its
    output; BadInput for a window, span, position or token that it does not have.
    """
    windows = inputs.windows(_windows(params), params.length)
    network = model.network()
    windows = windows.to(model.device)
    frozen = freeze(network, windows[params.window], params.gating)
    lens_target.check_map(frozen, model.name)
    spans = _spans(params, len(frozen.blocks))
    runs = len(spans) * params.length * (1 + params.probes)
    say = _Steps(report, runs + params.deletion_windows * RUNS_OF_A_WINDOW)
    position = lens_target.position_of(frozen, params.position)
    about = lens_target.explained(frozen, position, params.token, inputs)
    setting = {
        "blocks": len(frozen.blocks),
        "text": inputs.name,
        "tokens": lens_target.listed(inputs.words(windows[params.window].cpu())),
        "dtype": str(network.dtype).removeprefix("torch."),
        "gating": params.gating if frozen.gated else "no gate",
        **{name: getattr(params, name) for name in ("window", "probes", "seed")},
    }
    blank = dict.fromkeys(column.name for column in fields(Deleted))
    for bounds in spans:
        maps = _maps(frozen, bounds, params, say)
        tested = bounds == spans[0] and params.deletion_windows
        deleted = _deleted(network, windows, position, params, say) if tested else blank
        yield Row(**setting, **about, **maps, **deleted)


def _windows(params: Params) -> int:
    return max(params.window + 1, params.deletion_windows)


class _Steps:
    """Counts runs of the window and says so."""

    def __init__(self, report: Report, total: int) -> None:
        self._report, self._total, self._done = report, total, 0

    def __call__(self, done: int, words: str = "") -> None:
        self._done += done
        self._report(self._done, self._total, words)


def _spans(params: Params, blocks: int) -> list[tuple[int, int]]:
    """Return the whole span first, then those asked for beside it."""
    start, stop = params.start, blocks if params.stop is None else params.stop
    if not start < stop <= blocks:
        raise BadInput(
            f"blocks {start} to {stop} are no span of a model of {blocks} blocks: choose start "
            f"below stop, and stop at most {blocks}"
        )
    others = {
        "whole": [],
        "each block": [(block, block + 1) for block in range(start, stop)],
        "up to each block": [(start, end) for end in range(start + 1, stop)],
    }[params.spans]
    return [(start, stop), *(span for span in others if span != (start, stop))]


def _maps(frozen: Frozen, bounds: tuple[int, int], params: Params, say: _Steps) -> dict[str, Any]:
    """Return the columns of one span."""
    span, count = frozen.span(*bounds), len(frozen.blocks)
    name = "whole model" if bounds == (0, count) else _called(*bounds)
    to_logits = bool(frozen.head) and bounds[1] == count
    w, constant = (
        frozen.directions(lens_target.tokens_of(frozen, params.token))
        if to_logits
        else (None, None)
    )
    found = contributions(span, w, lambda done: say(done, name))
    norms: tuple[Tensor | None, Tensor | None] = (None, None)
    if params.probes:
        norms = frobenius(span, params.probes, params.seed, lambda done: say(done, name))
    return {
        "span": name,
        "start": bounds[0],
        "stop": bounds[1],
        "residual": missed(found.total, span.Y),
        "logit_residual": lens_target.logit_residual(frozen, found.total.to(span.Y))
        if to_logits else None,
        "back": float(found.norm.triu(1).max()) if frozen.causal else None,
        "share": _array(found.share),
        "norm": _array(found.norm),
        "logit": _array(found.along),
        "frobenius": _array(norms[0]),
        "frobenius_error": _array(norms[1]),
        "rollout": _array(attention_rollout(span.patterns)),
        "bias_share": tuple(found.bias_share.tolist()),
        "bias_norm": tuple(found.bias_norm.tolist()),
        "bias_logit": None if constant is None or found.bias_along is None
        else tuple((found.bias_along + constant).tolist()),
    }  # fmt: skip


def _called(start: int, stop: int) -> str:
    return f"block {start}" if stop == start + 1 else f"blocks {start} to {stop - 1}"


def _deleted(
    network: Any, windows: Tensor, position: int, params: Params, say: _Steps
) -> dict[str, Any]:
    """Return the columns of the deletion test."""
    windows = windows[: params.deletion_windows]
    found = deletion(
        network, windows, position, params.gating, params.seed,
        lambda done: say(RUNS_OF_A_WINDOW, f"deletion test, window {done} of {len(windows)}"),
    )  # fmt: skip
    curves = {name: getattr(found, name) for name in ("contributions", "rollout", "random")}
    areas = {name: found.area(drops) for name, drops in curves.items()}
    columns: dict[str, Any] = {
        "deletion_windows": len(windows),
        "deleted_share": tuple(found.shares.tolist()),
    }
    for name, drops in curves.items():
        columns[f"drop_{name}"] = tuple(drops.mean(0).tolist())
        columns[f"area_{name}"] = float(areas[name].mean())
    for name in ("random", "rollout"):
        mean, low, high = paired_interval(areas["contributions"] - areas[name], params.seed)
        columns |= {f"over_{name}": mean, f"over_{name}_low": low, f"over_{name}_high": high}
    return columns


def _array(found: Tensor | None) -> Any:
    return None if found is None else found.cpu().numpy()
