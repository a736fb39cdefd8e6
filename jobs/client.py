"""What pages and commands use: models, jobs and results of one home, wherever they are run.

Imports no analysis code and no torch; ray only once a cluster is connected to.
"""

import contextlib
import dataclasses
import json
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from jobs import home as places
from jobs import layers as patterns
from jobs import owner, predicted, requests, suggest
from jobs.catalog import Catalog
from jobs.engine import Browsing, Engine
from jobs.errors import JobError
from jobs.kept import Kept
from jobs.opening import patiently
from jobs.params import parse_params, reads
from jobs.proxy import plain_errors
from jobs.states import ACTIVE, DEVICES, RESUMABLE
from store import Store

_served: dict[Path, "Client"] = {}  # the homes that this very process owns


class Client(Kept):
    """One home. `store` reads it; the methods change it."""

    def __init__(self, home: Path, engine: Engine, start: Path | None = None) -> None:
        super().__init__(engine, places.roots(home, start or Path.cwd()))
        self.home = home
        self.can_run = engine.can_run
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def hold(self, context: contextlib.AbstractContextManager[Any]) -> Any:
        """Enter a context that lasts as long as this client."""
        return self._held.enter_context(context)

    def close(self) -> None:
        """Let go of the home, or of its owner; jobs of an owner run on."""
        self._held.close()

    def catalog(self) -> dict[str, Any]:
        """Return the analyses and the broken files, as the sources are now."""
        return dataclasses.asdict(Catalog.load(self.home))

    def submit(
        self,
        model: str,
        analysis: str,
        params: Mapping[str, Any],
        layers: str = patterns.ALL,
        device: str = "auto",
        *,
        restrict_to_roots: bool = False,
    ) -> str:
        """Check a request, start its job and return the job's id."""
        if device not in DEVICES:
            raise suggest.unknown("device", device, DEVICES)
        declared = Catalog.load(self.home).analysis(analysis)
        checked = self._checked(declared, params, restrict_to_roots=restrict_to_roots)
        model = self.resolve(model, restrict_to_roots=restrict_to_roots)
        if layers != patterns.ALL and not declared.get("by_layer", True):
            raise JobError(f"{analysis} works on the whole model: leave --layers out")
        views = any(checked.get(name) for name in predicted.VIEWS)
        if declared["unit"] != "training" and not views:
            patterns.check(layers, self.store.labels(model)["layer"])
        job = secrets.token_hex(4)
        row = {"id": job, "model": model, "analysis": analysis, "params": json.dumps(checked)}
        with plain_errors():
            self._engine.store.declare(declared)
            self._engine.store.create_job({**row, "layers": layers, "device": device, "total": 0})
        self._engine.start(job)
        return job

    def predict(
        self,
        model: str,
        analysis: str,
        params: Mapping[str, Any],
        layers: str = patterns.ALL,
        *,
        restrict_to_roots: bool = False,
    ) -> dict[str, Any]:
        """Return what a job would take: words, bytes, seconds (None: not known) and refused.

        `refused` is "" or the sentence that says why it cannot be done.
        """
        catalog = Catalog.load(self.home)
        declared = catalog.analysis(analysis)
        checked = self._checked(declared, params, restrict_to_roots=restrict_to_roots)
        model = self.resolve(model, restrict_to_roots=restrict_to_roots)
        if declared["unit"] in ("matrix", "spectra") and not declared.get("predicts"):
            return predicted.of_matrices(self.store.tensors(model), declared, checked, layers)
        asked = {"model": model, "analysis": analysis, "layers": layers}
        with plain_errors():
            request = requests.of(
                self._engine.store, catalog, {**asked, "params": json.dumps(checked)}
            )
            times = self._engine.store.stage_times(model) if declared["unit"] == "stages" else None
        earlier = tuple(times.to_pylist()) if times is not None else ()
        return self._engine.predict(
            dataclasses.replace(request, home=str(self.home), times=earlier)
        )

    def job(self, job: str) -> dict[str, Any]:
        """Return one job's row; an id may be cut short. Raises JobError for an unknown one."""
        found = self.store.job(job)
        if len(found) == 0:
            ids = [str(known) for known in self.store.jobs()["id"]]
            meant = [known for known in ids if known.startswith(job)] if job else []
            if len(meant) != 1:
                raise suggest.unknown("job", job, ids, "`status` lists them")
            found = self.store.job(meant[0])
        return dict(found.iloc[0])

    def cancel(self, job: str) -> None:
        """Stop a job that waits or runs: softly, by force after five seconds."""
        row = self.job(job)
        if row["state"] not in ACTIVE:
            raise JobError(f"job {row['id']} is {row['state']} already: there is nothing to cancel")
        with plain_errors():
            self._engine.cancel(row["id"])

    def export(self, trial: str, form: str = "factored") -> str:
        """Start the job that writes a trial's model as one file; return its id.

        `trial` is the key of its unit. What is no longer there is made again.
        """
        [found] = self.store.named_units([trial]).to_dict("records") or [None]
        if found is None:
            raise JobError(f"no trial has the key {trial!r}: run it first")
        asked = {"trial": found["unit"], "name": found["label"], "settings": found["params"]}
        return self.submit(found["model"], "export", {**asked, "form": form}, found["layers"])

    def resume(self, job: str) -> str:
        """Run what a job has not finished and return its id."""
        row = self.job(job)
        if row["state"] not in RESUMABLE:
            raise JobError(f"job {row['id']} is {row['state']}: only what has stopped is resumed")
        with plain_errors():
            self._engine.store.set_job(row["id"], "QUEUED")
        self._engine.start(row["id"])
        return str(row["id"])

    def trouble(self, job: str) -> str:
        """Return what a job that ended could not write into the store, or ""."""
        return self._engine.trouble(job)

    def cluster(self) -> dict[str, Any]:
        """Return mode, cores, gpus, running jobs and the store's bytes."""
        return {**self._engine.cluster(), "store_bytes": int(self.store.counts()["bytes"][0])}

    def _checked(
        self, declared: Mapping[str, Any], params: Mapping[str, Any], *, restrict_to_roots: bool
    ) -> dict[str, Any]:
        """Return all parameters, checked; those that name a file with its whole path."""
        checked = parse_params(declared, params)
        roots = self._roots if restrict_to_roots else None
        hub = declared["unit"] == "stages"  # whose texts may be datasets
        for name in reads(declared):
            if checked[name] is not None and not (hub and places.is_hub(checked[name])):
                checked[name] = str(places.readable(name, checked[name], roots))
        return checked


def connect(home: Path, *, browse_only: bool = False) -> Client:
    """Return a client of the home: of its owner, or of the file opened here while there is none.

    Raises HomeInUse when the owner can take no client, and Unreachable while it starts.
    """
    home = places.prepare(home)
    if home in _served:
        return _served[home]
    found = owner.await_started(home)
    if found is None:
        return _in_process(home)
    if found.mode != "ray" or browse_only:
        raise owner.in_use(home, found)
    from jobs import cluster
    from jobs.ray_engine import RayEngine

    cluster.connect(found.address, found.namespace, found.auth)
    client = Client(home, RayEngine(found.namespace))
    client.hold(contextlib.closing(_Connection()))
    return client


def serve_here(home: Path, client: Client | None) -> None:
    """Make `connect` return this client while this process owns the home; None ends that."""
    if client is None:
        _served.pop(home, None)
    else:
        _served[home] = client


def _in_process(home: Path) -> Client:
    with contextlib.ExitStack() as held:
        ownership = held.enter_context(owner.own(home, doing="a command"))
        store = held.enter_context(opened(home))
        with plain_errors():
            store.interrupt_running()
        ownership.publish("in process", "a command")
        client = Client(home, Browsing(store))
        client.hold(held.pop_all())
        return client


@contextlib.contextmanager
def opened(home: Path) -> Iterator[Any]:
    """Open the home's database here, waiting for an owner that was just killed."""
    with plain_errors():
        store = patiently(lambda: Store(home))
    try:
        yield store
    finally:
        store.close()


class _Connection:
    """A connection to the owner's cluster, left when the client is closed."""

    def close(self) -> None:
        from jobs import cluster

        cluster.disconnect()
