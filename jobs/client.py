"""What pages and commands use: models, jobs and results of one home, wherever they are run.

Imports no analysis code and no torch; ray only once a cluster is connected to.
"""

import contextlib
import dataclasses
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from jobs import home as places
from jobs import layers as patterns
from jobs import owner, suggest
from jobs.catalog import Catalog
from jobs.engine import Browsing, Engine
from jobs.errors import JobError
from jobs.opening import patiently
from jobs.params import parse_params
from jobs.proxy import StoreProxy, plain_errors
from store import Store

SAMPLE = "sample"
DEVICES = ("auto", "cpu", "cuda")
RESUMABLE = ("FAILED", "CANCELLED", "INTERRUPTED")
_served: dict[Path, "Client"] = {}  # the homes that this very process owns


class Client:
    """One home. `store` reads it; the methods change it."""

    def __init__(self, home: Path, engine: Engine, start: Path | None = None) -> None:
        self.home = home
        self.store: Any = StoreProxy(engine.store)
        self.can_run = engine.can_run
        self._engine = engine
        self._roots = places.roots(home, start or Path.cwd())
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

    def inspect(self, path: str, restrict_to_roots: bool = True) -> dict[str, Any]:
        """Return a model's header and tensors (a frame) before it is added."""
        found = self._describe(path, restrict_to_roots=restrict_to_roots, allow_pickle=False)
        return {"header": found["model"], "tensors": found["tensors"].to_pandas()}

    def add_model(
        self,
        path: str,
        name: str | None = None,
        *,
        restrict_to_roots: bool = False,
        allow_pickle: bool = False,
    ) -> str:
        """Register what lies at a path or hub id and return its name."""
        path = path.strip()
        if name == SAMPLE and path != SAMPLE:
            raise JobError(
                f"the name {SAMPLE!r} is reserved for the bundled model: give {path} another name"
            )
        found = self._describe(path, restrict_to_roots=restrict_to_roots, allow_pickle=allow_pickle)
        model = found["model"]
        model["name"] = name or (SAMPLE if path == SAMPLE else self._free_name(model))
        with plain_errors():
            if model["name"] == SAMPLE and path == SAMPLE:
                self._forget_moved_sample(model["path"])
            self._engine.store.add_model(model, found["tensors"])
            self._engine.store.add_labels(model["name"], found["labels"])
        return str(model["name"])

    def remove_model(self, name: str) -> None:
        """Forget a model; its jobs and results stay. Raises JobError while a job of it runs."""
        names = list(self.store.models()["name"])
        if name not in names:
            raise suggest.unknown("model", name, names, "`models list` lists them")
        with plain_errors():
            self._engine.store.remove_model(name)

    def resolve(self, text: str, *, allow_pickle: bool = False) -> str:
        """Return the name of the model meant by a name, `sample`, a path or a hub id.

        What is not registered yet is registered first. Raises JobError with the nearest name.
        """
        models = self.store.models()
        names = list(models["name"])
        if text in names:
            return text
        path = Path(text).expanduser()
        if (
            text == SAMPLE
            or path.exists()
            or ("/" in text and not text.startswith(("/", ".", "~")))
        ):
            known = models[models["path"] == str(path.resolve())]["name"]
            return (
                str(known.iloc[0])
                if len(known)
                else self.add_model(text, allow_pickle=allow_pickle)
            )
        if os.sep in text:
            raise JobError(f"{text} does not exist: check the path")
        raise suggest.unknown("model", text, [*names, SAMPLE], "`models add PATH` adds one")

    def submit(
        self,
        model: str,
        analysis: str,
        params: Mapping[str, Any],
        layers: str = patterns.ALL,
        device: str = "auto",
    ) -> str:
        """Check a request, start its job and return the job's id."""
        if device not in DEVICES:
            raise suggest.unknown("device", device, DEVICES)
        declared = Catalog.load(self.home).analysis(analysis)
        checked = parse_params(declared, params)
        model = self.resolve(model)
        if not any(checked.get(views) for views in ("heads", "slices")):
            patterns.check(layers, self.store.labels(model)["layer"])
        job = secrets.token_hex(4)
        row = {"id": job, "model": model, "analysis": analysis, "params": json.dumps(checked)}
        with plain_errors():
            self._engine.store.declare(declared)
            self._engine.store.create_job({**row, "layers": layers, "device": device, "total": 0})
        self._engine.start(job)
        return job

    def job(self, job: str) -> dict[str, Any]:
        """Return one job's row; an id may be cut short. Raises JobError for an unknown one."""
        found = self.store.job(job)
        if len(found) == 0:
            ids = [str(known) for known in self.store.jobs(1000)["id"]]
            meant = [known for known in ids if known.startswith(job)] if job else []
            if len(meant) != 1:
                raise suggest.unknown("job", job, ids, "`status` lists them")
            found = self.store.job(meant[0])
        return dict(found.iloc[0])

    def cancel(self, job: str) -> None:
        """Stop a job that waits or runs: softly, by force after five seconds."""
        row = self.job(job)
        if row["state"] not in ("QUEUED", "RUNNING"):
            raise JobError(f"job {row['id']} is {row['state']} already: there is nothing to cancel")
        with plain_errors():
            self._engine.cancel(row["id"])

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

    def _describe(
        self, path: str, *, restrict_to_roots: bool, allow_pickle: bool
    ) -> dict[str, Any]:
        path = path.strip()  # as the opening does: what is checked is what is opened
        local = Path(path).expanduser()
        # Without this, a path that is a typing error would be asked of the hub.
        if restrict_to_roots and path != SAMPLE and (local.exists() or local.is_absolute()):
            places.check_allowed([local], self._roots)
        with plain_errors():
            found = self._engine.describe(path, allow_pickle)
        if restrict_to_roots and path != SAMPLE:
            files = found["tensors"].column("file").unique().to_pylist()
            places.check_allowed(files, self._roots)
        return found

    def _free_name(self, model: Mapping[str, Any]) -> str:
        """Return the model's own name, with a number where another path or the sample has it."""
        models = self.store.models()
        taken = dict(zip(models["name"], models["path"], strict=True))
        name, number = str(model["name"]), 1
        while name == SAMPLE or taken.get(name, model["path"]) != model["path"]:
            number += 1
            name = f"{model['name']}-{number}"
        return name

    def _forget_moved_sample(self, path: str) -> None:
        """Let a checkout that moved register its own sample; results stay, by their content."""
        models = self.store.models()
        old = models[(models["name"] == SAMPLE) & (models["path"] != path)]
        if len(old):
            self._engine.store.remove_model(SAMPLE)


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
