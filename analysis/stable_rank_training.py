"""Stable ranks while a small model trains: when they would let it switch to factors.

A Llama is trained from scratch on the bundled text, with the sample's recipe at reduced size. At
the start of each epoch (`epoch_steps` optimizer steps) the stable rank |W|_F²/σ₁² of every linear
layer goes to the detector, which says at which epoch E training could go on with factors, and of
which ranks. It goes on with whole layers: the switch is shown and not made.

The loss is the mean over the epoch that ended, the gradient's stable rank that of its last batch.

Wang et al. (2023), Cuttlefish, https://arxiv.org/abs/2305.02538
Gradients of low stable rank: Zhao et al. (2024), https://arxiv.org/abs/2403.03507
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from analysis.numerics import rank_timing
from analysis.numerics.columns import count, note
from analysis.numerics.spectral_norm import stable_ranks
from analysis.numerics.switch import Settings
from analysis.numerics.switch_rows import Measured, Tracked, Tracker
from analysis.registry import AnalysisError, Report, Work, register
from analysis.sample import MODEL, corpus

if TYPE_CHECKING:
    from analysis.sample.recipe import Recipe
    from analysis.sample.run import Run

CHARACTERS = 4_000_000  # of the training text: more than the default run reads
HEADS, KV_HEADS, ROWS, WINDOW = 4, 2, 8, 128
FLOPS_A_SECOND = 1.5e11  # in bfloat16 on two cores, measured at the default size
START = 5.0  # seconds until the first step: tokenizer and text
TEXT_BYTES = 200_000_000  # while the text becomes tokens

Layers = Mapping[str, nn.Parameter]


@dataclass(frozen=True)
class Params(Settings):
    """The detector's parameters, the model's size and how long it trains."""

    epochs: int = field(
        default=75, metadata={"help": "epochs to train; a decision needs w + 1", "min": 1}
    )
    epoch_steps: int = field(
        default=10,
        metadata={"title": "Steps of an epoch", "help": "optimizer steps of one epoch", "min": 1},
    )
    hidden: int = field(
        default=128,
        metadata={
            "title": "Width",
            "help": "width of the model, a multiple of 8",
            "min": 8,
            "max": 1024,
        },
    )
    blocks: int = field(default=4, metadata={"help": "blocks of the model", "min": 1, "max": 24})
    rate: float = field(
        default=2e-3, metadata={"title": "Learning rate", "help": "peak learning rate", "min": 0.0}
    )
    keep_every: int = field(
        default=5,
        metadata={
            "title": "Epochs between checkpoints",
            "help": "epochs between two kept checkpoints",
            "min": 1,
        },
    )
    time_ranks: bool = field(
        default=False,
        metadata={
            "title": "Time ranks on this machine",
            "help": "time the layers as factors on this machine, which gives K",
        },
    )
    seed: int = field(default=0, metadata={"help": "seed of weights and batches", "min": 0})


@dataclass(frozen=True, kw_only=True)
class Row(Tracked):
    """One row per layer and epoch."""

    gradient_stable_rank: float | None = count(
        "gradient stable rank", "of the epoch's last batch; none before the first"
    )
    loss: float | None = count("loss", "mean nats per token over the epoch that ended")
    layer_seconds: tuple[float, ...] | None = note(
        "seconds by rank", "a training pass: dense, then at 1/2, 1/4, 1/8 and 1/16 of full rank"
    )
    speedup: float | None = count("speed-up at 1/4", "dense seconds/seconds at a quarter of rank")
    model_leading: int | None = count(
        "K by timing", "layers before the first that a quarter of its rank makes 1.5 times faster"
    )


@dataclass(frozen=True)
class Epoch:
    """What was measured at the start of an epoch: all that its rows are made of."""

    number: int
    loss: float | None
    stable_ranks: dict[str, float | None]
    gradient_ranks: dict[str, float | None]


def work(source: None, params: Params, layers: Sequence[str]) -> Work:
    """Predict the run. Raises AnalysisError for a width that heads cannot share."""
    recipe, steps = _recipe(params), params.epochs * params.epoch_steps
    h, kv = recipe.hidden, recipe.hidden * KV_HEADS // HEADS
    inside = recipe.blocks * (2 * h * h + 2 * h * kv + 3 * h * recipe.intermediate)
    parameters = inside + 2 * h * recipe.vocabulary
    tokens = ROWS * WINDOW
    words = f"{params.epochs} epochs of {params.epoch_steps} steps, {parameters:,} parameters"
    if params.epochs < params.ema_window:
        words += f", too few epochs for a decision, which needs {params.ema_window}"
    return Work(
        words,
        # Weights, gradients, AdamW's two moments and the copy that is saved; then activations.
        TEXT_BYTES + 28 * parameters + tokens * (24 * recipe.vocabulary + 100 * recipe.blocks * h),
        START + 6.0 * parameters * tokens * steps / FLOPS_A_SECOND,
        "lower `hidden`, `blocks` or `epochs`",
    )


@register(
    title="Stable-rank convergence, live", view="stable_rank", unit="training", version=1, work=work
)
def stable_rank_training(inputs: Any, params: Params, report: Report) -> Iterator[Row]:
    """Train a small model and follow the stable rank of its linear layers to the switch.

    Checkpoints go to `report.folder`, where a stopped run goes on from the last one as if it had
    never stopped. Raises AnalysisError when training diverges, and for a width that heads cannot
    share.
    """
    del inputs  # it trains a model of its own
    from analysis.sample.run import linear_layers

    run = _new_run(params)
    record = (run.restore(report.folder) if report.folder else None) or {}
    layers = linear_layers(run.model)
    timed = record.get("timed") or (_timed(layers) if params.time_ranks else {})
    tracker, history = Tracker(params, dict.fromkeys(layers, "")), []
    restored = [Epoch(**epoch) for epoch in record.get("history", [])]
    for epoch in _epochs(run, layers, params, report, restored):
        history.append(asdict(epoch))
        yield from _rows(tracker, layers, epoch, epoch.number * params.epoch_steps, timed)
        due = epoch.number % params.keep_every == 0 or epoch.number == params.epochs
        if report.folder and due and epoch.number >= len(restored):
            run.keep(report.folder)
            run.save(report.folder, {"history": history, "timed": timed})


def _epochs(
    run: "Run", layers: Layers, params: Params, report: Report, restored: list[Epoch]
) -> Iterator[Epoch]:
    """Yield what was measured at each epoch: before an interruption, then by training on."""
    total = params.epochs * params.epoch_steps
    report(run.step, total, "first measurement")
    yield from restored or [Epoch(0, None, stable_ranks(layers), {})]
    while run.step < total:
        losses, gradients = [], {}
        number = run.step // params.epoch_steps + 1
        for place in range(params.epoch_steps):
            losses.append(_loss(run, number))
            if place == params.epoch_steps - 1:
                gradients = stable_ranks({name: p.grad for name, p in layers.items()})
            run.apply()
            report(run.step, total, f"epoch {number} of {params.epochs}, loss {losses[-1]:.3f}")
        yield Epoch(number, sum(losses) / len(losses), stable_ranks(layers), gradients)


def _loss(run: "Run", epoch: int) -> float:
    loss = run.backward()
    if not math.isfinite(loss):
        raise AnalysisError(f"training diverged in epoch {epoch} (loss {loss}): lower `rate`")
    return loss


def _rows(
    tracker: Tracker, layers: Layers, epoch: Epoch, step: int, timed: dict[str, list[float]]
) -> Iterator[Row]:
    shapes = {name: _shape(p) for name, p in layers.items()}
    measured = [
        Measured(name, shapes[name], value, "" if value else "it holds NaN or infinity")
        for name, value in epoch.stable_ranks.items()
    ]
    by_shape = {shapes[name]: found for name, found in timed.items()}
    leading = rank_timing.leading(list(shapes.values()), by_shape) if timed else None
    for values in tracker.epoch(step, epoch.number, measured):
        found = timed.get(values["layer"])
        yield Row(
            **values,
            gradient_stable_rank=epoch.gradient_ranks.get(values["layer"]),
            loss=epoch.loss,
            layer_seconds=tuple(found) if found else None,
            speedup=rank_timing.speedup(found) if found else None,
            model_leading=leading,
        )


def _timed(layers: Layers) -> dict[str, list[float]]:
    """Time each shape once; layers of one shape share its seconds."""
    shapes = {_shape(p) for p in layers.values()}
    seconds = {shape: rank_timing.seconds(shape, ROWS * WINDOW) for shape in sorted(shapes)}
    return {name: list(seconds[_shape(p)]) for name, p in layers.items()}


def _shape(parameter: Tensor) -> tuple[int, int]:
    m, n = parameter.shape
    return m, n


def _recipe(params: Params) -> "Recipe":
    """Return the sample's recipe at this size. Raises AnalysisError where heads do not fit."""
    from analysis.sample.recipe import Recipe

    if params.hidden % (2 * HEADS):
        raise AnalysisError(
            f"a width of {params.hidden} cannot be shared by {HEADS} heads of even size: "
            f"make `hidden` a multiple of {2 * HEADS}"
        )
    return Recipe(
        hidden=params.hidden,
        intermediate=8 * round(params.hidden / 3),
        blocks=params.blocks,
        heads=HEADS,
        kv_heads=KV_HEADS,
        window=WINDOW,
        rows=ROWS,
        rate=params.rate,
    )


def _new_run(params: Params) -> "Run":
    from transformers import PreTrainedTokenizerFast

    from analysis.sample.run import Run, first_ids

    recipe = _recipe(params)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(MODEL)
    ids = first_ids(tokenizer, corpus.documents("train"), CHARACTERS)
    return Run(recipe, tokenizer, ids, params.epochs * params.epoch_steps, params.seed)
