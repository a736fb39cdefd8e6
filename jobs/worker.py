"""One unit of work, the same in a Ray worker and in process: data in, data out.

Whatever goes wrong with one unit is that unit's outcome, with a sentence; other units run on.
"""

import dataclasses
import importlib.metadata
import os
import platform
import time
import traceback
from pathlib import Path
from typing import Any

import torch

from analysis import registry, weights
from analysis.registry import Analysis, AnalysisError
from analysis.weights.matrix import Label, LayerSpectrum, Matrix, NonFinite, Spectrum, ZeroMatrix
from jobs import rows
from jobs.tasks import Outcome, Recall, State, Task, unit_key

ZERO = "every entry is zero: there is nothing to measure"
NO_CUDA = (
    "Ray offers a GPU, but torch finds no CUDA device in the worker: use --device cpu, or install "
    "a CUDA build of torch and its driver"
)


def run_unit(task: Task, recall: Recall) -> Outcome:
    """Return what became of one unit. Raises nothing but what ends the process."""
    # Workers are reused, and keep the last setting.
    torch.set_num_threads(task.threads)
    try:
        if task.device == "cuda" and not torch.cuda.is_available():
            return Outcome("failed", NO_CUDA)
        analysis = registry.find(task.analysis)
        return (
            _on_spectra(task, analysis, recall)
            if task.ref is None
            else _on_matrix(task, analysis, recall)
        )
    except AnalysisError as error:
        return Outcome("failed", str(error))
    except Exception as error:  # noqa: BLE001  an analysis may raise anything: its unit fails
        return Outcome("failed", _sentence(task, error), detail=_place(error))


def _on_matrix(task: Task, analysis: Analysis, recall: Recall) -> Outcome:
    ref = weights.MatrixRef.from_dict(dict(task.ref or {}))
    before = Path(ref.file).stat()
    sha256 = task.sha256 or weights.fingerprint(ref)
    remember = (ref.file, before.st_size, before.st_mtime_ns, ref.tensor, sha256)
    key = weights.matrix_key(ref, sha256)
    task = dataclasses.replace(task, matrix_key=key, key=unit_key(task, [key]))
    found = Outcome("known", key=task.key, matrix_key=key, remember=remember)
    if task.key in recall.known([task.key]):
        return found
    recall.starting(task.key)
    matrix = Matrix(weights.load(ref), ref.label, key, recall=recall.spectrum, device=task.device)
    measured = _measured(task, analysis, matrix, matrix.fresh, [key])
    return dataclasses.replace(measured, matrix_key=key, remember=remember)


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
    return _measured(task, analysis, layers, {}, inputs)


def _measured(
    task: Task, analysis: Analysis, subject: Any, fresh: dict[str, Spectrum], inputs: list[Any]
) -> Outcome:
    """Call the analysis on its subject; return its rows with the record of how they came to be."""
    started = time.perf_counter()
    state: State = "done"
    message, detail, found = "", "", None
    arrays: dict[str, bytes] = {}
    try:
        measured = list(analysis.function(subject, analysis.params(**task.params)))
        found, arrays = rows.table(measured, task.columns)
    except ZeroMatrix:
        state, message = "zero", ZERO
    except (NonFinite, AnalysisError) as error:
        state, message = "failed", str(error)
    except Exception as error:  # noqa: BLE001  an analysis may raise anything: its unit fails
        state, message, detail = "failed", _sentence(task, error), _place(error)
    if state == "done" and isinstance(subject, Matrix) and _is_zero(subject, found):
        state, message, found, arrays = "zero", ZERO, None, {}
    unit = {
        "key": task.key,
        "analysis": task.analysis,
        "version": task.version,
        "params": dict(task.inputs),
        "inputs": inputs,
        "state": state,
        "message": message,
        "seconds": time.perf_counter() - started,
        "device": task.device,
        "versions": versions(),
    }
    kept = rows.spectra(fresh.values()) if fresh else None
    return Outcome(state, message, task.key, "", unit, found, kept, arrays, None, detail)


def _is_zero(matrix: Matrix, found: Any) -> bool:
    """Say whether an all-zero matrix was measured; entries are only read where no row came."""
    own = matrix.fresh.get(matrix.key)
    if own is not None:
        return not own.values.any()
    return found.num_rows == 0 and not bool(matrix.dense().any())


def versions() -> dict[str, str]:
    """Return what the numbers depend on beside the inputs."""
    packages = ("torch", "numpy", "scipy")
    found = {name: importlib.metadata.version(name) for name in packages}
    return {"python": platform.python_version(), **found}


def _sentence(task: Task, error: Exception) -> str:
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return f"{task.label} does not fit in the GPU's memory: use --device cpu"
    if isinstance(error, MemoryError) or "not enough memory" in str(error):
        return f"{task.label} does not fit in memory: free some, or leave it out with --layers"
    if isinstance(error, OSError) and error.filename:
        return f"{os.fspath(error.filename)} cannot be read ({error.strerror}): check the path"
    text = " ".join(str(error).split())
    return f"{task.analysis} stopped on {task.label} with {type(error).__name__}: {text}"


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames[::-1][:4])
