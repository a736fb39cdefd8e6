"""The store's one owner under Ray: a named actor beside the database file."""

import os
from pathlib import Path
from typing import Any

import ray

from jobs import cluster
from jobs.opening import patiently
from store import Store


class StoreActor(Store):
    """`Store` behind an actor, whose calls Ray tries again after a crash.

    Every write of results, states and links is idempotent. `count_attempt` and `log` are not: one
    of them that is tried again may count an attempt, or list a line, twice.
    """

    def __init__(self, home: str) -> None:
        cluster.die_with_parent()
        patiently(lambda: Store.__init__(self, home))

    def pid(self) -> int:
        """Return the process that holds the database."""
        return os.getpid()


def start(home: Path, namespace: str, **options: Any) -> Any:
    """Start the store's actor, or return the one that a killed program left on a cluster."""
    actor: Any = ray.remote(StoreActor)
    named = actor.options(name=cluster.STORE, namespace=namespace, **cluster.ACTOR, **options)
    return named.remote(str(home))
