"""The stages that measure the dense model, as it is and after as much training as a trial gets."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from analysis.compress.calibration import calibrate as calibration
from analysis.compress.trials.calibrating import settings_of as calibration_of
from analysis.compress.trials.stages import CONTROL, EVALUATION, EvaluationRow
from analysis.compress.trials.targets import Target, targets, weight
from analysis.evaluate.evaluation import Evaluation, Settings, evaluate
from analysis.evaluate.recovery import control
from analysis.networks.opened import OpenedModel
from analysis.registry import Report
from analysis.weights.source import Source


@dataclass(frozen=True)
class Control:
    """The dense model after training: what was measured, and the loss of each step."""

    evaluation: Evaluation
    losses: tuple[float, ...]


def settings_of(params: Any) -> Settings:
    """Return how a job's settings say to measure."""
    return Settings(
        text=params.evaluate,
        preset=params.preset,
        window=params.window,
        windows=params.windows,
        first=params.first,
        seed=params.seed,
        choice=params.choice,
        pairs=params.pairs,
    )


def evaluation_stage(
    opened: OpenedModel,
    params: Any,
    folder: Path,
    report: Report,
    network: nn.Module | None = None,
) -> Iterator[EvaluationRow]:
    """Yield what the dense model comes to, or `network`, and keep all of it in `folder`."""
    found = evaluate(opened, network or opened.network(), settings_of(params), report)
    _write(folder, EVALUATION, found.to_dict())
    yield _row(found)


def control_stage(
    opened: OpenedModel, params: Any, folder: Path, report: Report
) -> Iterator[EvaluationRow]:
    """Train the chosen layers of the dense model, yield what it then comes to, and keep it."""
    network = opened.network()
    found, _ = targets(opened, network, opened.layers)
    ids = calibration.tokens(opened, calibration_of(params))
    losses = control(
        network, found, ids, params.recovery_steps, params.recovery_lr, seed=params.seed,
        mask_id=mask_of(opened), report=report,
    )  # fmt: skip
    _round(network, found, saved_dtype(opened.source, params.dtype))
    measured = evaluate(opened, network, settings_of(params))
    _write(folder, CONTROL, {"evaluation": measured.to_dict(), "losses": list(losses)})
    yield _row(measured)


def mask_of(opened: OpenedModel) -> int | None:
    """Return the mask token of a masked model, None for any other."""
    if opened.task != "masked":
        return None
    found: int | None = getattr(opened.tokenizer(), "mask_token_id", None)
    return found


def saved_dtype(source: Source, asked: str) -> torch.dtype:
    """Return the dtype of a saved file: float32, or what most of the model is stored in."""
    if asked != "stored":
        return torch.float32
    counted: Counter[str] = Counter()
    for tensor in source.run.tensors():
        counted[tensor.dtype] += tensor.parameters
    name = counted.most_common(1)[0][0]
    found = getattr(torch, name, torch.float32)
    return found if found.is_floating_point else torch.float32


def _round(network: nn.Module, found: Sequence[Target], dtype: torch.dtype) -> None:
    """Round what was trained to what the file can hold, as a trial's factors are."""
    with torch.no_grad():
        for target in found:
            held = weight(network, target)
            held.copy_(held.to(dtype))


def read_evaluation(folder: Path) -> Evaluation:
    """Return what `evaluation_stage` kept."""
    return Evaluation.from_dict(json.loads((folder / EVALUATION).read_text()))


def read_control(folder: Path) -> Control:
    """Return what `control_stage` kept."""
    held = json.loads((folder / CONTROL).read_text())
    return Control(Evaluation.from_dict(held["evaluation"]), tuple(held["losses"]))


def _write(folder: Path, name: str, data: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{name}"
    draft.write_text(json.dumps(data, allow_nan=False))
    draft.replace(folder / name)


def _row(found: Evaluation) -> EvaluationRow:
    return EvaluationRow(
        metric=found.metric,
        score=found.score,
        perplexity=found.perplexity,
        bits_per_byte=found.bits_per_byte,
        accuracy=found.accuracy,
        evaluated_on=found.evaluated_on,
    )
