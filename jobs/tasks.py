"""What travels between the planner, the manager and the workers: data, and the keys it goes by."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import pyarrow as pa

State = Literal["done", "zero", "failed", "known", "keyed", "cancelled"]
PICKLE = "opened with --allow-pickle"  # in the notes of a model whose files are pickles
Unit = Literal["model", "series", "training"]
Remembered = tuple[str, int, int, str, str]  # path, size, mtime_ns, tensor or "", sha256
Labelled = dict[str, Any]  # a label as a dictionary, with its matrix key and stored dtype


@dataclasses.dataclass(frozen=True)
class Whole:
    """What a unit on a whole model is given, beside its parameters; a training run opens none."""

    unit: Unit
    path: str = ""
    base: str | None = None
    allow_pickle: bool = False
    layers: tuple[str, ...] = ()  # the names of those that were chosen
    all_layers: bool = True
    reads: tuple[str, ...] = ()  # the parameters that name a file


@dataclasses.dataclass(frozen=True)
class Stage:
    """A step of a job whose units build on each other's files, which are kept in the home."""

    kind: str  # "calibrate", "factors", ...: see `jobs/trials/`
    of: str  # the analysis whose parameters it is given
    data: Mapping[str, Any]  # what it works on, as JSON
    inputs: Sequence[Any]  # what its key is made of, beside its parameters
    after: tuple[str, ...] = ()  # labels of the tasks that it waits for
    needs_all: bool = True  # False: it runs once they have ended, whatever became of them
    wants: bool = False  # its files are to be there, so that its stored rows are not enough


@dataclasses.dataclass(frozen=True)
class Task:
    """One unit of work. `key` and `sha256` are empty until the tensor's bytes were hashed once."""

    label: str
    analysis: str
    version: int
    params: Mapping[str, Any]  # all of them: what the function is called with
    inputs: Mapping[str, Any]  # those that are part of the key
    columns: Sequence[Mapping[str, Any]]
    # One of these four says what it works on.
    ref: Mapping[str, Any] | None = None  # of a matrix
    spectra: Sequence[Labelled] = ()  # that are stored
    whole: Whole | None = None
    stage: Stage | None = None
    sha256: str = ""
    matrix_key: str = ""
    key: str = ""
    state: str = ""  # "done" or "zero" when the store holds the result already
    device: str = "cpu"
    threads: int = 1
    job: str = ""
    model: str = ""  # its name
    home: str = ""

    @property
    def identity(self) -> str:
        """Return what makes two tasks the same work, as far as it is known.

        A unit on a whole model goes by its content once that is hashed: what it says while it
        runs, and the checkpoints of a training run, are kept under its key. So are a stage's files.
        """
        if self.key and (self.whole is not None or self.stage is not None):
            return self.key
        subject = [self.ref, list(self.spectra), self.whole, self.stage]
        return digest([self.analysis, self.version, self.inputs, *subject])


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a task.

    `known`: the store held the result under this content already. `keyed`: its files were hashed,
    and it is to be run under this key once no other job has the same in hand.
    """

    state: State
    message: str = ""
    key: str = ""
    matrix_key: str = ""
    unit: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    rows: pa.Table | None = None
    spectra: pa.Table | None = None
    arrays: Mapping[str, bytes] = dataclasses.field(default_factory=dict)  # sha256 to `.npy`
    remember: Sequence[Remembered] = ()
    files: pa.Table | None = None  # path, sha256, bytes of what it left in the home to be kept
    removed: Sequence[str] = ()  # keys of units whose files it deleted
    detail: str = ""  # where it failed, for the log


@dataclasses.dataclass(frozen=True)
class Plan:
    """The tasks of a job's first stage, and whether one on all stored spectra follows."""

    tasks: Sequence[Task]
    labels: pa.Table
    details: Mapping[str, Labelled]
    skipped: Sequence[tuple[str, str]]  # layer and reason
    last: Task | None = None
    at_once: int | None = None  # how many of the tasks fit in memory together, None: not known
    remember: Sequence[Remembered] = ()  # hashed on the way


@dataclasses.dataclass(frozen=True)
class Request:
    """What the planner needs to know of a job."""

    path: str
    allow_pickle: bool
    analysis: Mapping[str, Any]  # the declaration
    params: Mapping[str, Any]
    spectrum: Mapping[str, Any]  # the declaration that "spectra" jobs take missing spectra from
    layers: str = "*"
    model: str = ""
    base: str | None = None
    device: str = "cpu"
    stages: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # declarations by kind
    home: str = ""
    times: Sequence[Mapping[str, Any]] = ()  # of earlier stages of the model, for a prediction

    @property
    def declared(self) -> list[Mapping[str, Any]]:
        """Return the declarations of all tables that the job may fill."""
        return [found for found in (self.analysis, self.spectrum, *self.stages.values()) if found]


class Recall(Protocol):
    """What a worker may ask of the store."""

    def spectrum(self, key: str) -> Any:
        """Return the stored spectrum of a key, or None."""

    def known(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the states of those units that are stored and did not fail."""

    def stored_spectra(self, keys: Sequence[str]) -> set[str]:
        """Return which of the matrix keys have a stored spectrum."""

    def fingerprints(self, path: str, size: int, mtime_ns: int) -> dict[str, str]:
        """Return the remembered hashes of a file's tensors."""

    def trials(self, job: str) -> list[dict[str, Any]]:
        """Return key, bytes, delta of a job's trials, and whether another keeps their weights."""

    def starting(self, key: str) -> None:
        """Count one attempt at a unit."""

    def begin(self, task: Task, *, kept: bool) -> None:
        """Have a unit seen while it runs; with `kept` its rows stay when it is stopped."""

    def add(
        self,
        key: str,
        said: Mapping[str, Any],
        rows: pa.Table | None = None,
        arrays: Mapping[str, bytes] | None = None,
    ) -> None:
        """Say how far a unit is, and give the rows (and `.npy` bytes) since the last call."""


def unit_key(task: Task, inputs: Sequence[Any]) -> str:
    """Return the content key: what is computed, how, and from which bytes."""
    return digest([task.analysis, task.version, task.inputs, list(inputs)])


def digest(data: Any) -> str:
    """Return the SHA-256 of the data as JSON with sorted keys."""
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
