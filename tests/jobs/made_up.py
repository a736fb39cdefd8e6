"""Analyses made up for a test, enrolled for its length, and a store that only remembers."""

import contextlib
import dataclasses
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from analysis import registry
from analysis.registry import Array
from jobs.tasks import Task


@dataclasses.dataclass(frozen=True)
class Params:
    factor: float = 1.0


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


@contextlib.contextmanager
def analysis(function: Callable[..., Any], unit: Any = "matrix") -> Iterator[str]:
    """Enrol a function as the analysis `made_up`."""
    module = types.ModuleType("analysis.made_up")
    made = registry.Analysis("made_up", "Made up", "", unit, 1, Params, Row, function)
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


class Memory:
    """`Recall` from dictionaries."""

    def __init__(self) -> None:
        self.spectra: dict[str, Any] = {}
        self.units: dict[str, str] = {}
        self.hashes: dict[str, str] = {}
        self.started: list[str] = []

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
