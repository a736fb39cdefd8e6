"""What became of one unit: its rows with the record of how they came to be, or a sentence."""

import dataclasses
import importlib.metadata
import os
import platform
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from analysis.registry import AnalysisError
from analysis.weights.matrix import ZeroMatrix
from jobs import rows
from jobs.errors import JobError
from jobs.tasks import Outcome, Task
from store.errors import StoreError

ZERO = "every entry is zero: there is nothing to measure"


def measured(task: Task, inputs: list[Any], measure: Callable[[], Iterable[Any]]) -> Outcome:
    """Return the rows that `measure` gives. Raises nothing but what ends the process."""
    started = time.perf_counter()
    outcome = _rows(task, measure)
    unit = {
        "key": task.key,
        "analysis": task.analysis,
        "version": task.version,
        "params": dict(task.inputs),
        "inputs": inputs,
        "state": outcome.state,
        "message": outcome.message,
        "seconds": time.perf_counter() - started,
        "device": task.device,
        "versions": versions(),
    }
    return dataclasses.replace(outcome, key=task.key, unit=unit)


def zero(outcome: Outcome) -> Outcome:
    """Return the outcome of a matrix that turned out to be all zero."""
    unit = {**outcome.unit, "state": "zero", "message": ZERO}
    return dataclasses.replace(
        outcome, state="zero", message=ZERO, unit=unit, rows=None, arrays={}, detail=""
    )


def failed(task: Task, error: Exception) -> Outcome:
    """Return the outcome of a unit that failed by this error."""
    if isinstance(error, AnalysisError | JobError | StoreError):
        return Outcome("failed", str(error))
    return Outcome("failed", _sentence(task, error), detail=_place(error))


def versions() -> dict[str, str]:
    """Return what the numbers depend on beside the inputs."""
    packages = ("torch", "numpy", "scipy")
    found = {name: importlib.metadata.version(name) for name in packages}
    return {"python": platform.python_version(), **found}


def _rows(task: Task, measure: Callable[[], Iterable[Any]]) -> Outcome:
    try:
        found, arrays = rows.table(measure(), task.columns)
    except ZeroMatrix as error:
        return Outcome("zero", str(error))
    except Exception as error:  # noqa: BLE001  an analysis may raise anything: its unit fails
        return failed(task, error)
    return Outcome("done", rows=found, arrays=arrays)


def _sentence(task: Task, error: Exception) -> str:
    what = task.analysis if task.whole else task.label
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return f"{what} does not fit in the GPU's memory: use --device cpu"
    if isinstance(error, MemoryError) or "not enough memory" in str(error):
        cure = "ask for less of it" if task.whole else "leave it out"
        return f"{what} does not fit in memory: free some, or {cure} with --layers"
    if isinstance(error, OSError) and error.filename:
        return f"{os.fspath(error.filename)} cannot be read ({error.strerror}): check the path"
    text = " ".join(str(error).split())
    where = "" if task.whole else f" on {task.label}"
    return f"{task.analysis} stopped{where} with {type(error).__name__}: {text}"


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames[::-1][:4])
