"""The list of analyses: every module of this folder that calls `register`.

An analysis is one file holding `Params`, `Row` and one pure function. This module imports no
torch, and a file that fails to import is listed as broken and hides no other.
"""

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import analysis

Unit = Literal["matrix", "spectra", "model", "series", "training", "stages"]
Function = TypeVar("Function", bound=Callable[..., Iterable[Any]])
# Any fault of one file is that file's, and is shown; `sys.exit()` is one as well.
FAULTS = (Exception, SystemExit)
NOT_ANALYSES = {"catalogue", "registry", "__main__"}


class AnalysisError(Exception):
    """Root of what this package raises on its own account."""


class Array:
    """Annotation of a row field that holds an n-dimensional array, kept as an `.npy` artifact."""


class Report(Protocol):
    """How a long analysis says where it is; calls are cheap, and few of them reach the store."""

    folder: Path | None
    """Where a training run keeps its checkpoints; it finds them there when it is resumed."""

    def __call__(self, done: int, total: int, words: str = "") -> None:
        """Say that `done` of `total` parts of the work are finished, and what comes next."""


@dataclasses.dataclass
class Quiet:
    """A `Report` that nobody reads."""

    folder: Path | None = None

    def __call__(self, done: int, total: int, words: str = "") -> None:
        """Say nothing."""


@dataclasses.dataclass(frozen=True)
class Work:
    """What a call would take, predicted from headers and parameters alone."""

    words: str  # "64 windows of 128 tokens, 8 probes: 65,536 token passes"
    bytes: int = 0  # peak memory beside the loaded program
    seconds: float | None = None  # rough, on two cores; None: not known
    cure: str = ""  # what to change where it is too much, as a clause: "choose fewer layers"


@dataclasses.dataclass(frozen=True)
class Analysis:
    """What one registered file declares."""

    name: str
    title: str
    view: str
    unit: Unit
    version: int
    params: type
    row: type
    function: Callable[..., Iterable[Any]]
    work: Callable[..., Work] | None = None
    by_layer: bool = True


_registered: dict[str, Analysis] = {}


def register(
    *,
    title: str,
    view: str,
    unit: Unit,
    version: int = 1,
    work: Callable[..., Work] | None = None,
    by_layer: bool = True,
) -> Callable[[Function], Function]:
    """Enrol the decorated function under its module's name.

    The module must define the frozen dataclasses `Params` and `Row` above it. `version` is part of
    the key of every stored result: raise it when the same input would give another number.
    What the function is called with depends on its unit:

        matrix    f(matrix, params)                   one labelled weight matrix
        spectra   f(spectra, params)                  all stored spectra of a model
        model     f(model, inputs, params, report)    an opened model, with text
        series    f(series, params, report)           checkpoints in order
        training  f(inputs, params, report)           what trains a model of its own
        stages    f(given, report)                    files that earlier steps of its job left

    `work(source, params, layers)` predicts what a call would take, from a `Source`'s headers (None
    for training) and the names of the chosen layers; it raises AnalysisError for what cannot work.
    `by_layer=False` says that the choice of layers has no effect, so that nobody is asked for one.
    """

    def enrol(function: Function) -> Function:
        scope = function.__globals__
        name = function.__module__.rpartition(".")[2]
        _registered[name] = Analysis(
            name,
            title,
            view,
            unit,
            version,
            scope["Params"],
            scope["Row"],
            function,
            work,
            by_layer,
        )
        return function

    return enrol


def scan() -> tuple[dict[str, Analysis], dict[str, str]]:
    """Import every module of the folder; return the analyses and, by name, what broke."""
    broken = {}
    for module in pkgutil.iter_modules(analysis.__path__):
        if module.ispkg or module.name in NOT_ANALYSES:
            continue
        try:
            importlib.import_module(f"analysis.{module.name}")
        except FAULTS as error:
            broken[module.name] = f"{type(error).__name__}: {error}"
    whole = {name: found for name, found in _registered.items() if name not in broken}
    return dict(sorted(whole.items())), broken


def find(name: str) -> Analysis:
    """Return one analysis, importing its module alone. Raises AnalysisError when there is none."""
    if name not in _registered:
        importlib.import_module(f"analysis.{name}")
    if name not in _registered:
        raise AnalysisError(f"analysis/{name}.py registers no analysis")
    return _registered[name]
