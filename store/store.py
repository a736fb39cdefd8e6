"""`Store`: the named queries bound to one open file.

Reads return Arrow tables and run side by side; each write is one transaction behind one lock, and
is on disk when it returns. Arguments and answers survive pickling.
"""

import functools
import inspect
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import pandas as pd
import pyarrow as pa

from store import migrations, schema
from store.artifacts import keep
from store.connection import Connection, Cursor
from store.queries import fingerprints as _fingerprints
from store.queries import jobs as _jobs
from store.queries import live as _live
from store.queries import models as _models
from store.queries import results as _results
from store.queries import spectra as _spectra
from store.queries import stages as _stages
from store.queries import trials as _trials
from store.queries import units as _units

P = ParamSpec("P")
Answer = TypeVar("Answer")
Method = TypeVar("Method", bound=Callable[..., Any])


def _read(
    query: Callable[Concatenate[Cursor, P], Answer],
) -> Callable[Concatenate["Store", P], Answer]:
    def method(self: "Store", /, *args: P.args, **kwargs: P.kwargs) -> Answer:
        return self._connection.read(lambda cursor: query(cursor, *args, **kwargs))

    return _named(method, query, given=1)


def _write(
    change: Callable[Concatenate[Cursor, P], Answer],
) -> Callable[Concatenate["Store", P], Answer]:
    def method(self: "Store", /, *args: P.args, **kwargs: P.kwargs) -> Answer:
        return self._connection.write(lambda cursor: change(cursor, *args, **kwargs))

    return _named(method, change, given=1)


def _write_at(
    change: Callable[Concatenate[Cursor, float, P], Answer],
) -> Callable[Concatenate["Store", P], Answer]:
    """Bind a change that also wants to know the time."""

    def method(self: "Store", /, *args: P.args, **kwargs: P.kwargs) -> Answer:
        return self._connection.write(lambda cursor: change(cursor, self._now(), *args, **kwargs))

    return _named(method, change, given=2)


def _named(method: Method, query: Callable[..., Any], given: int) -> Method:
    """Give the method the query's name, text and signature, less what the store gives it.

    An actor system reads the signature to check the arguments of a call.
    """
    own = list(inspect.signature(query).parameters.values())[given:]
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    functools.update_wrapper(method, query)
    del method.__wrapped__  # type: ignore[attr-defined]
    method.__signature__ = inspect.Signature([this, *own])  # type: ignore[attr-defined]
    return method


class Store:
    """The database of one home. Raises StoreLocked, StoreUnwritable or StoreError."""

    def __init__(self, home: str | Path, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._connection = Connection(Path(home))
        migrations.migrate(self._connection, now)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file, so that another process may open it."""
        self._connection.close()

    add_model = _write_at(_models.add_model)
    remove_model = _write(_models.remove_model)
    add_labels = _write(_models.add_labels)
    link_matrix = _write(_models.link_matrix)
    models = _read(_models.models)
    model = _read(_models.model)
    tensors = _read(_models.tensors)
    labels = _read(_models.labels)

    create_job = _write_at(_jobs.create_job)
    set_job = _write_at(_jobs.set_job)
    set_progress = _write(_jobs.set_progress)
    interrupt_running = _write_at(_jobs.interrupt_running)
    log = _write_at(_jobs.log)
    jobs = _read(_jobs.jobs)
    job = _read(_jobs.job)
    log_lines = _read(_jobs.log_lines)

    add_job_units = _write(_units.add_job_units)
    link_unit = _write(_units.link_unit)
    count_attempt = _write(_units.count_attempt)
    finish_unit = _write_at(_units.finish_unit)
    units = _read(_units.units)
    known_units = _read(_units.known_units)
    records = _read(_units.records)
    attempts = _read(_units.attempts)
    artifacts = _read(_units.artifacts)

    active_units = _read(_stages.active_units)
    named_units = _read(_stages.named_units)
    stage_times = _read(_stages.stage_times)
    exports = _read(_stages.exports)
    weighed_trials = _read(_stages.weighed_trials)
    drop_artifacts = _write(_stages.drop_artifacts)

    begin_live = _write_at(_live.begin_live)
    stop_live = _write(_live.stop_live)
    add_artifacts = _write(_live.add_artifacts)
    progress = _read(_live.progress)

    def add_live(
        self,
        unit: str,
        said: Mapping[str, Any],
        rows: pa.Table | None = None,
        arrays: Mapping[str, bytes] | None = None,
    ) -> None:
        """Say how far a live unit is, and add numbered rows with the `.npy` bytes they name."""
        home = self._connection.database.parent
        files = [keep(home, content, ".npy") for content in (arrays or {}).values()]
        kept = pa.Table.from_pylist(files) if files else None
        self._connection.write(
            lambda cursor: _live.add_live(cursor, self._now(), unit, said, rows, kept)
        )

    declare = _write(schema.declare)
    results = _read(_results.results)
    profile = _read(_results.profile)
    tables = _read(_results.tables)
    table = _read(_results.table)
    counts = _read(_results.counts)

    spectra = _read(_spectra.spectra)
    known_spectra = _read(_spectra.known_spectra)
    decays = _read(_spectra.decays)
    sparks = _read(_spectra.sparks)
    energy_ranks = _read(_spectra.energy_ranks)

    factor_curves = _read(_trials.factor_curves)
    factor_methods = _read(_trials.factor_methods)
    factor_units = _read(_trials.factor_units)
    trials = _read(_trials.trials)

    remember_tensor = _write(_fingerprints.remember_tensor)
    recall_tensors = _read(_fingerprints.recall_tensors)


def read_table(home: str | Path, name: str) -> pd.DataFrame:
    """Return one table as pandas reads it; the home must have no other owner at the time."""
    with Store(home) as store:
        frame: pd.DataFrame = store.table(name).to_pandas()
        return frame
