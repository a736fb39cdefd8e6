"""A unit on a whole model, on a series of checkpoints, or one that trains: opened and watched."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from analysis import weights
from analysis.networks.inputs import Inputs
from analysis.networks.opened import OpenedModel
from analysis.registry import Analysis
from jobs import checkpoints, contents, measuring, prediction
from jobs.live import Live
from jobs.tasks import Outcome, Recall, Task, Whole, unit_key


def run(task: Task, analysis: Analysis, recall: Recall) -> Outcome:
    """Return what became of the unit. Raises AnalysisError for what cannot be opened."""
    given = task.whole
    assert given is not None
    source = open_source(given)
    hashes = contents.Hashes(recall)
    claimed = task.key
    task, inputs = keyed(task, source, hashes.read)
    if task.key in recall.known([task.key]):
        return Outcome("known", key=task.key, remember=hashes.fresh)
    if task.key != claimed:  # another job may have the same content in hand
        return Outcome("keyed", key=task.key, remember=hashes.fresh)
    recall.starting(task.key)
    recall.begin(task, kept=given.unit == "training")
    folder = checkpoints.folder(Path(task.home), task.key) if given.unit == "training" else None
    live = Live(task, recall, folder=folder, streams=given.unit != "model")
    with live:
        outcome = measuring.measured(task, inputs, lambda: _rows(task, analysis, source, live))
    return dataclasses.replace(outcome, remember=hashes.fresh)


def open_source(whole: Whole) -> Any:
    """Return the headers of what is worked on, None for a training run. Raises AnalysisError."""
    if whole.unit == "training":
        return None
    return weights.open_model(whole.path, base=whole.base, allow_pickle=whole.allow_pickle)


def keyed(task: Task, source: Any, sha256: contents.Hash) -> tuple[Task, list[Any]]:
    """Return the task with its key, and what it depends on beside its parameters."""
    assert task.whole is not None
    inputs = contents.contents(task.whole, source, sha256)
    task = dataclasses.replace(task, inputs=contents.inputs(task.whole, task.inputs, sha256))
    return dataclasses.replace(task, key=unit_key(task, inputs)), inputs


def _rows(task: Task, analysis: Analysis, source: Any, live: Live) -> Iterator[Any]:
    assert task.whole is not None
    work = prediction.of(task.analysis, source, task.params, task.whole.layers)
    prediction.check(work, f"{task.analysis} of {task.model}", task.device)
    if live.folder is not None:
        live.folder.mkdir(parents=True, exist_ok=True)
    params = analysis.params(**task.params)
    yield from live.streamed(analysis.function(*_subject(task, source), params, live))


def _subject(task: Task, source: Any) -> tuple[Any, ...]:
    """Return what an analysis of this unit is called with, before its parameters."""
    whole = task.whole
    assert whole is not None
    text = next((task.params[name] for name in whole.reads), None)
    if whole.unit == "training":
        return (Inputs(None, text),)
    if whole.unit == "series":
        from analysis.weights.checkpoints import Series

        return (Series(source, whole.layers),)
    opened = OpenedModel(source, whole.layers, whole.all_layers, task.device)
    return opened, Inputs(opened, text)
