"""Stable ranks over a run's checkpoints: when they stop drifting, and the ranks they then give.

The stable rank |W|_F²/σ₁² of each layer is followed from checkpoint to checkpoint. Once none
drifts any more, low-rank training may switch to factors (epoch E), and each layer's rank is its
stable rank, scaled by what random weights of its shape had at the start:
ceil(stable rank · full rank/first stable rank). Nothing is trained here and nothing is factored.

An epoch is a checkpoint, or `epoch_steps` steps. Checkpoints that are unevenly spaced then make the
drift one per checkpoint: no points are invented between them.

Wang et al. (2023), Cuttlefish, https://arxiv.org/abs/2305.02538
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch

from analysis.numerics import spectral_norm
from analysis.numerics.columns import note
from analysis.numerics.switch import Settings
from analysis.numerics.switch_rows import Measured, Tracked, Tracker
from analysis.registry import AnalysisError, Report, Work, register
from analysis.weights.checkpoints import Series
from analysis.weights.matrix import Label, Matrix
from analysis.weights.outside import why_not_linear
from analysis.weights.source import Source

SECONDS_AN_ENTRY = 1e-7  # reading and Lanczos, on two cores
WITH_A_SAY = ("linear", "conv")


@dataclass(frozen=True)
class Params(Settings):
    """The detector's parameters, and what one epoch is."""

    epoch_steps: int | None = field(
        default=None,
        metadata={
            "title": "Steps of an epoch",
            "help": "steps of one epoch; not set: each checkpoint is one",
            "min": 1,
        },
    )


@dataclass(frozen=True, kw_only=True)
class Row(Tracked):
    """One row per layer and checkpoint."""

    least_steps: int = note("least spacing", "fewest steps between two epochs' checkpoints")
    most_steps: int = note("most spacing", "most steps: where it is more, drift is per checkpoint")


def work(source: Source, params: Params, layers: Sequence[str]) -> Work:
    """Predict the replay. Raises AnalysisError for one model, or an epoch without a checkpoint."""
    if not source.steps:
        raise AnalysisError(
            f"{source.name} is one model: stable ranks are followed over a folder of checkpoints, "
            "whose subfolders' names end in the step (step_00100)"
        )
    steps = [step.number for step in source.steps]
    counted = [e for e in epochs(steps, params.epoch_steps) if e.is_integer()]
    refs = [ref for ref in source.matrices() if ref.label.layer in set(layers)]
    sizes = [ref.shape[0] * ref.shape[1] for ref in refs]
    held = [8 + getattr(torch, ref.dtype).itemsize for ref in refs]  # bytes of an entry
    words = [
        f"{len(steps)} checkpoints of {len(refs)} layers",
        *_spacing(steps, params.epoch_steps),
    ]
    if len(counted) <= params.ema_window:
        words.append(
            f"too few for a decision, which needs {params.ema_window + 1} epochs: "
            "lower `ema_window` for a shorter run"
        )
    return Work(
        ", ".join(words),
        max((size * each for size, each in zip(sizes, held, strict=True)), default=0),
        SECONDS_AN_ENTRY * sum(sizes) * len(steps),
        "choose fewer layers with --layers",
    )


@register(title="Stable-rank convergence", view="stable_rank", unit="series", version=1, work=work)
def stable_rank(series: Series, params: Params, report: Report) -> Iterator[Row]:
    """Follow the stable rank of each layer over a run's checkpoints, and find the switch.

    Embeddings, heads and views that repeat entries are measured and have no say. Raises
    AnalysisError when no chosen layer has one, or an epoch has no checkpoint.
    """
    silent = {label.layer: _no_say(label) for label in series.labels}
    if all(silent.values()):
        raise AnalysisError(
            f"none of the {len(silent)} chosen layers is a linear layer or a convolution: "
            "choose some that are"
        )
    at = epochs(series.steps, params.epoch_steps)
    apart = _apart(series.steps, params.epoch_steps)
    tracker, total = Tracker(params, silent), len(series.steps) * len(silent)
    for position, (step, epoch) in enumerate(zip(series.steps, at, strict=True)):
        measured = []
        for found in _measure(series, step):
            measured.append(found)
            report(position * len(silent) + len(measured), total, f"step {step}")
        for values in tracker.epoch(step, epoch, measured):
            yield Row(**values, least_steps=min(apart), most_steps=max(apart))


def epochs(steps: Sequence[int], each: int | None) -> list[float]:
    """Return the epoch of each checkpoint: its place, or its steps since the first over `each`.

    Raises AnalysisError when an epoch has no checkpoint, for nothing is put in its place.
    """
    if each is None:
        return [float(place) for place in range(len(steps))]
    first, last = steps[0], steps[-1]
    absent = next((s for s in range(first, last + 1, each) if s not in set(steps)), None)
    if absent is not None:
        raise AnalysisError(
            f"there is no checkpoint at step {absent}, which epochs of {each} steps need: choose "
            "longer ones, or leave `epoch_steps` out to count each checkpoint as one"
        )
    return [(step - first) / each for step in steps]


def _apart(steps: Sequence[int], each: int | None) -> list[int]:
    """Return the steps between the checkpoints that are counted, [0] for a single one."""
    return [each] if each else [b - a for a, b in pairwise(steps)] or [0]


def _spacing(steps: Sequence[int], each: int | None) -> list[str]:
    apart = _apart(steps, each)
    if min(apart) == max(apart):
        return []
    return [f"{min(apart)} to {max(apart)} steps apart: drift is per checkpoint"]


def _measure(series: Series, step: int) -> Iterator[Measured]:
    """Yield each chosen layer of a checkpoint, one matrix in memory at a time."""
    for matrix in series.matrices(step):
        yield _measured(matrix)
    for layer in series.missing(step):
        yield Measured(layer, series.shape(layer), None, "this checkpoint does not hold it")


def _measured(matrix: Matrix) -> Measured:
    layer = matrix.label.layer
    try:
        return Measured(layer, matrix.shape, spectral_norm.stable_rank(matrix.dense()))
    except spectral_norm.NoStableRank as error:
        return Measured(layer, matrix.shape, None, str(error))


def _no_say(label: Label) -> str:
    """Return why a matrix is none of those that factors replace, "" for one that is."""
    return "" if label.kind in WITH_A_SAY else why_not_linear(label) or ""
