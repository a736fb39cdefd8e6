"""Analyses made up for a test, enrolled for its length, and a store that only remembers."""

import contextlib
import dataclasses
import json
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import registry
from analysis.registry import Array
from jobs import catalog
from jobs.client import Client
from jobs.tasks import Task


@dataclasses.dataclass(frozen=True)
class Params:
    factor: float = 1.0
    text: str | None = None


@dataclasses.dataclass(frozen=True)
class Row:
    top: float
    name: str = ""
    array: Array | None = None


COLUMNS = [
    {"name": "top", "type": "float"},
    {"name": "name", "type": "str"},
    {"name": "array", "type": "array"},
]


PARAMS = [
    {"name": "factor", "type": "float", "optional": False, "default": 1.0, "min": 0.0},
    {"name": "text", "type": "str", "optional": True, "default": None, "reads": "text"},
]


def declare(home: Path, unit: str) -> None:
    """Add `made_up` to the list of analyses that lies in the home already."""
    file = home / catalog.FILE
    listed = json.loads(file.read_text())
    listed["analyses"]["made_up"] = {
        "name": "made_up", "title": "Made up", "view": "", "unit": unit, "version": 1,
        "summary": "", "doc": "", "params": PARAMS, "columns": COLUMNS,
    }  # fmt: skip
    file.write_text(json.dumps(listed))


@contextlib.contextmanager
def analysis(
    function: Callable[..., Any], unit: Any = "matrix", work: Callable[..., Any] | None = None
) -> Iterator[str]:
    """Enrol a function as the analysis `made_up`."""
    module = types.ModuleType("analysis.made_up")
    made = registry.Analysis("made_up", "Made up", "", unit, 1, Params, Row, function, work)
    sys.modules[module.__name__] = module
    registry._registered["made_up"] = made
    try:
        yield "made_up"
    finally:
        del registry._registered["made_up"], sys.modules[module.__name__]


def task(ref: Any = None, **more: Any) -> Task:
    params = {"factor": 1.0}
    given = (
        {"ref": ref.to_dict(), "label": ref.label.layer} if ref is not None else {"label": "all"}
    )
    return Task(
        **{**given, "analysis": "made_up", "version": 1, "params": params, "inputs": params,
           "columns": COLUMNS, **more}
    )  # fmt: skip


def waiting(client: Client, unit: str, model: Any) -> str:
    """Register a job of `made_up` and leave it waiting."""
    declare(client.home, unit)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client._engine, "start", lambda job: None)
        return client.submit(client.resolve(str(model)), "made_up", {})


class Memory:
    """`Recall` from dictionaries."""

    def __init__(self) -> None:
        self.spectra: dict[str, Any] = {}
        self.units: dict[str, str] = {}
        self.hashes: dict[str, str] = {}
        self.started: list[str] = []
        self.begun: list[tuple[str, bool]] = []
        self.said: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []

    def spectrum(self, key: str) -> Any:
        return self.spectra.get(key)

    def known(self, keys: Sequence[str]) -> dict[str, str]:
        return {key: self.units[key] for key in keys if key in self.units}

    def stored_spectra(self, keys: Sequence[str]) -> set[str]:
        return set(keys) & set(self.spectra)

    def fingerprints(self, path: str, size: int, mtime_ns: int) -> dict[str, str]:
        return dict(self.hashes)

    def starting(self, key: str) -> None:
        self.started.append(key)

    def begin(self, task: Task, *, kept: bool) -> None:
        self.begun.append((task.key, kept))

    def add(self, key: str, said: Mapping[str, Any], rows: Any = None, arrays: Any = None) -> None:
        self.said.append((dict(said), [] if rows is None else rows.to_pylist()))


Launch = Callable[..., str]


def measure(opened: Any, inputs: Any, params: Any, report: Any) -> Iterator[Row]:
    """Stand in for an analysis of a model."""
    for done, layer in enumerate(opened.layers):
        report(done, len(opened.layers), layer)
        yield Row(params.factor * (done + 1), layer, np.arange(done))


def never(*_: Any) -> Iterator[Row]:
    raise AssertionError
    yield


def state(client: Client, job: str) -> tuple[str, int, int, int, int]:
    row = client.job(job)
    return (row["state"], *(int(row[name]) for name in ("done", "failed", "skipped", "total")))
