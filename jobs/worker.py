"""One unit of work, the same in a Ray worker and in process: data in, data out.

Whatever goes wrong with one unit is that unit's outcome, with a sentence; other units run on.
"""

import dataclasses
import os
from typing import Any

import torch

from analysis import registry, weights
from analysis.registry import Analysis
from analysis.weights.matrix import Label, LayerSpectrum, Matrix
from jobs import measuring, rows, whole
from jobs.tasks import Outcome, Recall, Remembered, Task, unit_key
from jobs.trials import stages

MOST_THREADS = 4  # of a unit on a whole model
NO_CUDA = (
    "Ray offers a GPU, but torch finds no CUDA device in the worker: use --device cpu, or install "
    "a CUDA build of torch and its driver"
)


def run_unit(task: Task, recall: Recall) -> Outcome:
    """Return what became of one unit. Raises nothing but what ends the process."""
    # Workers are reused, and keep the last setting.
    torch.set_num_threads(_threads(task))
    try:
        if task.device == "cuda" and not torch.cuda.is_available():
            return Outcome("failed", NO_CUDA)
        if task.stage is not None:
            return stages.run(task, recall)
        analysis = registry.find(task.analysis)
        if task.whole is not None:
            return whole.run(task, analysis, recall)
        on = _on_spectra if task.ref is None else _on_matrix
        return on(task, analysis, recall)
    except Exception as error:  # noqa: BLE001  an analysis may raise anything: its unit fails
        return measuring.failed(task, error)


def _threads(task: Task) -> int:
    threads = (os.cpu_count() or 1) if task.whole is not None else task.threads
    return min(threads, MOST_THREADS)


def _on_matrix(task: Task, analysis: Analysis, recall: Recall) -> Outcome:
    ref = weights.MatrixRef.from_dict(dict(task.ref or {}))
    sha256, remember = _fingerprint(task, ref)
    key = weights.matrix_key(ref, sha256)
    task = dataclasses.replace(task, matrix_key=key, key=unit_key(task, [key]))
    found = Outcome("known", key=task.key, matrix_key=key, remember=remember)
    if task.key in recall.known([task.key]):
        return found
    recall.starting(task.key)
    matrix = Matrix(weights.load(ref), ref.label, key, recall=recall.spectrum, device=task.device)
    outcome = measuring.measured(
        task, [key], lambda: analysis.function(matrix, analysis.params(**task.params))
    )
    if outcome.state == "done" and _is_zero(matrix, outcome.rows):
        outcome = measuring.zero(outcome)
    spectra = rows.spectra(matrix.fresh.values()) if matrix.fresh else None
    return dataclasses.replace(outcome, matrix_key=key, remember=remember, spectra=spectra)


def _fingerprint(task: Task, ref: Any) -> tuple[str, list[Remembered]]:
    """Return the hash of a matrix's bytes, and what to remember of it.

    One that is made from several files is hashed each time: there is no one file that it is of.
    """
    before = [(str(path), path.stat()) for path in weights.files_of(ref)]
    sha256 = task.sha256 or weights.fingerprint(ref)
    if len(before) > 1:
        return sha256, []
    [(file, state)] = before
    return sha256, [(file, state.st_size, state.st_mtime_ns, ref.tensor, sha256)]


def _on_spectra(task: Task, analysis: Analysis, recall: Recall) -> Outcome:
    inputs = [[s["layer"], s["kind"], s["dtype"], s["matrix_key"]] for s in task.spectra]
    task = dataclasses.replace(task, key=unit_key(task, inputs))
    if task.key in recall.known([task.key]):
        return Outcome("known", key=task.key)
    recall.starting(task.key)
    fields = [field.name for field in dataclasses.fields(Label)]
    layers = []
    for stored in task.spectra:
        spectrum = recall.spectrum(stored["matrix_key"])
        label = Label(**{name: stored[name] for name in fields})
        layers.append(LayerSpectrum(label, spectrum, stored["dtype"]))
    return measuring.measured(
        task, inputs, lambda: analysis.function(layers, analysis.params(**task.params))
    )


def _is_zero(matrix: Matrix, found: Any) -> bool:
    """Say whether an all-zero matrix was measured; entries are only read where no row came."""
    own = matrix.fresh.get(matrix.key)
    if own is not None:
        return not own.values.any()
    return found.num_rows == 0 and not bool(matrix.dense().any())
