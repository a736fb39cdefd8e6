"""What a job has to do, found from a model's header alone; no weight is read and nothing runs.

Imported by workers and in-process runs only: this opens models, so it imports torch.
"""

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis import sample, weights
from analysis.registry import AnalysisError, Work
from jobs import contents, layers, params, predicted, prediction, whole
from jobs.errors import JobError
from jobs.header import MODEL, detail, labels, tensors
from jobs.tasks import PICKLE, Plan, Recall, Request, Task, Whole, unit_key
from jobs.trials import plan as trials

LAST = "all layers"


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    """Raise what the analyses raise as JobError, which is a sentence too."""
    try:
        yield
    except AnalysisError as error:
        raise JobError(str(error)) from error


@_plain_errors()
def describe(path: str, allow_pickle: bool, base: str | None = None) -> dict[str, Any]:
    """Return a model's header: `model` (a dictionary), `tensors`, `labels` (tables), `files`.

    Raises JobError with the sentence that says what is wrong with the path.
    """
    source = _open(path, allow_pickle, base)
    header = {name: getattr(source, name) for name in MODEL}
    header["path"] = str(header["path"])
    header["base"] = str(source.base.path) if source.base else None
    header["steps"] = json.dumps([[step.number, str(step.path)] for step in source.steps])
    header["notes"] = "; ".join([*source.notes, *([PICKLE] if allow_pickle else [])])
    return {
        "model": header,
        "tensors": tensors(source),
        "labels": labels(source.matrices()),
        "files": [str(file) for file in contents.files(source)],
    }


@_plain_errors()
def make(request: Request, recall: Recall) -> Plan:
    """Return the tasks of a job, each with its key where its files were hashed before.

    Raises JobError for what cannot work, and for what does not fit in memory.
    """
    unit = request.analysis["unit"]
    source = _source(request)
    first = request.spectrum if unit == "spectra" else request.analysis
    chosen = params.parse_params(first, {}) if unit == "spectra" else request.params
    views = _views(chosen)
    refs = _refs(request, source, views)
    if unit == "stages":
        return trials.make(request, source, refs, recall)
    work = _check(request, source, refs)
    if unit not in ("matrix", "spectra"):
        return _one(request, source, refs, recall)
    tasks = [_task(first, chosen, label=ref.label.layer, ref=ref.to_dict()) for ref in refs]
    return Plan(
        tasks=_recognised(tasks, refs, recall, spectra=unit == "spectra"),
        labels=labels(refs),
        details={ref.label.layer: detail(ref) for ref in refs},
        skipped=_skipped(source, request.layers, slices=views.get("slices", False)),
        last=_task(request.analysis, request.params, LAST) if unit == "spectra" else None,
        at_once=prediction.at_once(work) if unit == "matrix" else None,
    )


def predict(request: Request) -> dict[str, Any]:
    """Return what a job would take: words, bytes, seconds, refused."""
    try:
        source = _source(request)
        refs = _refs(request, source, _views(request.params))
        if request.analysis["unit"] == "stages":
            return trials.predict(request, source, refs)
        names = [ref.label.layer for ref in refs]
        work = prediction.of(request.analysis["name"], source, request.params, names)
    except (AnalysisError, JobError) as error:
        return predicted.said(refused=str(error))
    return prediction.say(work, _what(request), names)


def _views(chosen: Mapping[str, Any]) -> dict[str, bool]:
    """Return which parts of layers the parameters ask for."""
    return {name: bool(chosen[name]) for name in predicted.VIEWS if name in chosen}


def _source(request: Request) -> Any:
    """Return the headers of the job's model; None for a training run, which has none."""
    unit, name = request.analysis["unit"], request.analysis["name"]
    if unit == "training":
        return None
    source = _open(request.path, request.allow_pickle, request.base)
    if unit == "series" and not source.steps:
        raise JobError(
            f"{request.model} is no series: {name} needs a folder of checkpoints, whose folders or "
            "files end in a number (add one with `models add FOLDER`)"
        )
    return source


def _open(path: str, allow_pickle: bool, base: str | None) -> Any:
    place = sample.MODEL if path == "sample" else path  # a base by that name is found by itself
    return weights.open_model(place, base=base, allow_pickle=allow_pickle)


def _refs(request: Request, source: Any, views: dict[str, bool]) -> list[Any]:
    """Return the chosen matrices. Raises JobError for a pattern that means none."""
    if source is None:
        return []
    refs = source.matrices(**views)
    layers.check(request.layers, [ref.label.layer for ref in refs])
    return [ref for ref in refs if layers.matches(ref.label.layer, request.layers)]


def _check(request: Request, source: Any, refs: Sequence[Any]) -> Work | None:
    """Return what a job takes of this machine's memory, None where that is not known.

    Raises AnalysisError for what cannot work, or not in the memory that is free.
    """
    names = [ref.label.layer for ref in refs]
    work = prediction.of(request.analysis["name"], source, request.params, names)
    if request.device == "cuda":  # how much a GPU has, a worker that holds it finds out
        return None
    prediction.check(work, _what(request))
    return work


def _what(request: Request) -> str:
    return f"{request.analysis['name']} of {request.model}"


def _one(request: Request, source: Any, refs: Sequence[Any], recall: Recall) -> Plan:
    """Return the plan of a job that is one task, recognised where nothing need be read for it."""
    unit = request.analysis["unit"]
    given = Whole(unit=unit, reads=params.reads(request.analysis))
    if source is not None:  # a training run is the same whichever model it was asked for with
        given = dataclasses.replace(
            given,
            path=str(source.path),
            base=request.base,
            allow_pickle=request.allow_pickle,
            layers=tuple(ref.label.layer for ref in refs),
            all_layers=request.layers.strip() == layers.ALL,
        )
    task = dataclasses.replace(_task(request.analysis, request.params, unit), whole=given)
    with contextlib.suppress(contents.NotRemembered):
        known, _ = whole.keyed(task, source, contents.Hashes(recall).remembered)
        state = recall.known([known.key]).get(known.key, "")
        task = dataclasses.replace(task, key=known.key, state=state)
    return Plan(tasks=[task], labels=labels(refs), details={}, skipped=[])


def _task(analysis: Any, chosen: Any, label: str, ref: dict[str, Any] | None = None) -> Task:
    return Task(
        label=label,
        analysis=analysis["name"],
        version=analysis["version"],
        params=chosen,
        inputs=params.inputs(analysis, chosen),
        columns=analysis["columns"],
        ref=ref,
    )


def _recognised(tasks: Sequence[Task], refs: Any, recall: Recall, *, spectra: bool) -> list[Task]:
    """Fill in hashes and keys that are remembered, and the states of results that are stored."""
    # What is made from several files is hashed by its worker each time.
    alone = [len(weights.files_of(ref)) == 1 for ref in refs]
    hashes = _hashes({ref.file for ref, single in zip(refs, alone, strict=True) if single}, recall)
    keyed = []
    for task, ref, single in zip(tasks, refs, alone, strict=True):
        sha256 = hashes[ref.file].get(ref.tensor, "") if single else ""
        if sha256:
            matrix_key = weights.matrix_key(ref, sha256)
            key = unit_key(task, [matrix_key])
            task = dataclasses.replace(task, sha256=sha256, matrix_key=matrix_key, key=key)
        keyed.append(task)
    states = recall.known([task.key for task in keyed if task.key])
    stored = recall.stored_spectra([t.matrix_key for t in keyed if t.key]) if spectra else set()
    states |= {t.key: "done" for t in keyed if t.matrix_key in stored and t.key not in states}
    return [dataclasses.replace(task, state=states.get(task.key, "")) for task in keyed]


def _hashes(files: set[str], recall: Recall) -> dict[str, dict[str, str]]:
    found = {}
    for file in files:
        state = Path(file).stat()
        found[file] = recall.fingerprints(file, state.st_size, state.st_mtime_ns)
    return found


def _skipped(source: Any, patterns: str, *, slices: bool) -> list[tuple[str, str]]:
    """Return what no task works on: skipped tensors, and asked-for views that hold nothing new."""
    skipped = [(t.layer or t.name, t.reason) for t in source.tensors() if t.state == "skipped"]
    left_out = source.left_out(slices=slices)
    return [pair for pair in [*skipped, *left_out] if layers.matches(pair[0], patterns)]
