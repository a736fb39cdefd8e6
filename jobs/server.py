"""Owning a home: Ray, the store's actor and the job manager, for as long as a program lives."""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from jobs import client as clients
from jobs import home as places
from jobs import owner
from jobs.catalog import Catalog
from jobs.client import Client
from jobs.engine import Browsing
from jobs.errors import JobError
from jobs.proxy import plain_errors

READY = 60.0


@contextlib.contextmanager
def serving(
    home: Path, *, browse_only: bool = False, doing: str = "the dashboard"
) -> Iterator[Client]:
    """Own the home and serve it: with Ray and its workers, or only the file to browse.

    To be entered on the main thread, for Ray's daemons end with the thread that started them.
    Raises HomeInUse with the owner's pid when there is one, after waiting for a dying one.
    """
    home = places.prepare(home)
    with owner.own(home, doing=doing) as ownership:
        serve = _browsing if browse_only else _running
        with serve(home, ownership, doing) as client:
            clients.serve_here(home, client)
            try:
                yield client
            finally:
                clients.serve_here(home, None)


@contextlib.contextmanager
def _browsing(home: Path, ownership: owner.Ownership, doing: str) -> Iterator[Client]:
    with clients.opened(home) as store:
        with plain_errors():
            store.interrupt_running()
        ownership.publish("in process", doing)
        yield Client(home, Browsing(store))


@contextlib.contextmanager
def _running(home: Path, ownership: owner.Ownership, doing: str) -> Iterator[Client]:
    # The list of analyses takes as long to make as Ray to start: both at once.
    catalogue = threading.Thread(target=_load_catalogue, args=(home,), daemon=True)
    catalogue.start()
    from jobs import cluster  # ray takes a second to import, which other commands do without

    namespace = places.namespace(home)
    address = os.environ.get("RAY_ADDRESS", "")
    if not address:
        # Opened and closed once: what is wrong with the file is said before Ray starts.
        with clients.opened(home):
            pass
    with (
        cluster.started(namespace, address) as reached,
        _actors(home, namespace, shared=bool(address)) as client,
    ):
        reach = {"address": reached, "namespace": namespace}
        ownership.publish("ray", doing, **reach, auth=cluster.authentication())
        yield client


@contextlib.contextmanager
def _actors(home: Path, namespace: str, *, shared: bool) -> Iterator[Client]:
    """Run the home's two actors; on a shared cluster they are taken away at the end."""
    import ray

    from jobs import cluster, manager, store_actor
    from jobs.ray_engine import RayEngine

    options = {"lifetime": "detached"} if shared else {}
    store = store_actor.start(home, namespace, **options)
    managing = manager.start(home, namespace, **options)
    cluster.answer(store.counts.remote(), timeout=READY)
    cluster.answer(managing.active.remote(), timeout=READY)
    engine = RayEngine(namespace)
    try:
        yield Client(home, engine)
    finally:
        # A job left RUNNING by a manager that gives no answer is marked at the next start.
        with contextlib.suppress(JobError):
            engine.stop()
        with contextlib.suppress(JobError):
            cluster.answer(store.close.remote(), timeout=2)
        for actor in (managing, store):
            with contextlib.suppress(ray.exceptions.RayError):
                ray.kill(actor, no_restart=True)


def _load_catalogue(home: Path) -> None:
    # Whoever needs the list next says what is wrong with it.
    with contextlib.suppress(JobError):
        Catalog.load(home)
