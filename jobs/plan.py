"""What a job has to do, found from a model's header alone; no weight is read and nothing runs.

Imported by workers and in-process runs only: this opens models, so it imports torch.
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from analysis import weights
from analysis.registry import AnalysisError
from jobs import layers, params
from jobs.errors import JobError
from jobs.tasks import PICKLE, Labelled, Plan, Recall, Request, Task, unit_key

RUNNABLE = ("matrix", "spectra")
LAST = "all layers"
LABELS = pa.schema(
    [
        ("layer", pa.string()),
        ("tensor", pa.string()),
        ("block", pa.int64()),
        ("module", pa.string()),
        ("view", pa.string()),
        ("kind", pa.string()),
        ("rows", pa.int64()),
        ("cols", pa.int64()),
        ("dtype", pa.string()),
    ]
)
TENSORS = pa.schema(
    [
        ("name", pa.string()),
        ("file", pa.string()),
        ("dtype", pa.string()),
        ("shape", pa.list_(pa.int64())),
        ("parameters", pa.int64()),
        ("bytes", pa.int64()),
        ("layer", pa.string()),
        ("block", pa.int64()),
        ("module", pa.string()),
        ("state", pa.string()),
        ("reason", pa.string()),
    ]
)
MODEL = (
    *("name", "path", "origin", "kind", "architecture"),
    *("parameters", "blocks", "dtype", "bytes", "flops"),
)


def describe(path: str, allow_pickle: bool) -> dict[str, Any]:
    """Return a model's header: `model` (a dictionary), `tensors` and `labels` (tables).

    Raises JobError with the sentence that says what is wrong with the path.
    """
    source = _open(path, allow_pickle)
    header = {name: getattr(source, name) for name in MODEL}
    header["path"] = str(header["path"])
    header["steps"] = json.dumps([[step.number, str(step.path)] for step in source.steps])
    header["notes"] = "; ".join([*source.notes, *([PICKLE] if allow_pickle else [])])
    tensors = [{n: getattr(info, n) for n in TENSORS.names} for info in source.tensors()]
    return {
        "model": header,
        "tensors": pa.Table.from_pylist(tensors, schema=TENSORS),
        "labels": _labels(source.matrices()),
    }


def make(request: Request, recall: Recall) -> Plan:
    """Return the tasks of a job, each with its key where its tensor was hashed before."""
    unit = request.analysis["unit"]
    if unit not in RUNNABLE:
        raise JobError(
            f"analysis {request.analysis['name']!r} works on a {unit!r}, which no job can run "
            f"yet: expected one on {' or '.join(RUNNABLE)}"
        )
    source = _open(request.path, request.allow_pickle)
    first = request.analysis if unit == "matrix" else request.spectrum
    chosen = request.params if unit == "matrix" else params.parse_params(first, {})
    views = {name: bool(chosen[name]) for name in ("heads", "slices") if name in chosen}
    refs = source.matrices(**views)
    layers.check(request.layers, [ref.label.layer for ref in refs])
    refs = [ref for ref in refs if layers.matches(ref.label.layer, request.layers)]
    tasks = [_task(first, chosen, label=ref.label.layer, ref=ref.to_dict()) for ref in refs]
    return Plan(
        tasks=_recognised(tasks, refs, recall, spectra=unit == "spectra"),
        labels=_labels(refs),
        details={ref.label.layer: _detail(ref) for ref in refs},
        skipped=_skipped(source, request.layers, slices=views.get("slices", False)),
        last=_task(request.analysis, request.params, LAST) if unit == "spectra" else None,
    )


def _open(path: str, allow_pickle: bool) -> Any:
    if path == "sample":
        from analysis import sample

        path = str(sample.MODEL)
    try:
        return weights.open_model(path, allow_pickle=allow_pickle)
    except AnalysisError as error:
        raise JobError(str(error)) from error


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
    hashes = _hashes({ref.file for ref in refs}, recall)
    keyed = []
    for task, ref in zip(tasks, refs, strict=True):
        sha256 = hashes[ref.file].get(ref.tensor, "")
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


def _labels(refs: Any) -> pa.Table:
    rows = [_detail(ref) for ref in refs]
    return pa.Table.from_pylist(rows, schema=LABELS)


def _detail(ref: Any) -> Labelled:
    rows, cols = ref.shape
    return {**dataclasses.asdict(ref.label), "rows": rows, "cols": cols, "dtype": ref.dtype}
