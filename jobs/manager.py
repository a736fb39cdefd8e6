"""The job manager: an actor that runs jobs, each in a thread of its own, over Ray tasks.

It keeps no state that the store does not have: when it restarts, jobs that were running are
marked INTERRUPTED and can be resumed.
"""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ray

from jobs import cluster
from jobs.errors import JobError
from jobs.executor import Claims
from jobs.ray_executor import RayExecutor
from jobs.run import Around, Run
from store.errors import StoreError

AT_ONCE = 4  # jobs; more of them wait as QUEUED
STOPPING = 3.0


class JobManager:
    """Starts, cancels and stops jobs."""

    def __init__(self, home: str, namespace: str) -> None:
        cluster.die_with_parent()
        self._home = Path(home)
        self._store = cluster.RemoteStore(namespace)
        self._executor = RayExecutor(namespace)
        self._claims = Claims()
        self._lock = threading.Lock()
        self._told: dict[str, str | None] = {}  # active jobs, and the state each is to stop with
        self._begun: set[str] = set()  # those of them that have one of the threads
        self._trouble: dict[str, str] = {}
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._store.interrupt_running()

    def start(self, job: str) -> None:
        """Run a job, or leave it running."""
        with self._lock:
            if job in self._told:
                return
            self._told[job] = None
        self._pool.submit(self._run, job)

    def cancel(self, job: str) -> None:
        """Stop a job; one that has not begun never does, and is marked at once."""
        with self._lock:
            if job in self._begun:
                self._told[job] = "CANCELLED"
                return
            self._told.pop(job, None)
            # Under the lock, so that a resume which follows is not marked instead.
            self._store.set_job(job, "CANCELLED", "cancelled before it began")

    def stop(self) -> None:
        """Interrupt every job; return when all have stopped, or after a few seconds."""
        with self._lock:
            waiting = [job for job in self._told if job not in self._begun]
            self._told = {job: told or "INTERRUPTED" for job, told in self._told.items()}
            for job in waiting:
                del self._told[job]
        for job in waiting:
            self._store.set_job(job, "INTERRUPTED", "interrupted before it began")
        deadline = time.monotonic() + STOPPING
        while self._told and time.monotonic() < deadline:
            time.sleep(0.02)

    def pid(self) -> int:
        """Return this actor's process."""
        return os.getpid()

    def active(self) -> list[str]:
        """Return the jobs that are queued or running."""
        return list(self._told)

    def trouble(self, job: str) -> str:
        """Return what could not be written into the store of a job that ended, or ""."""
        return self._trouble.get(job, "")

    def _run(self, job: str) -> None:
        with self._lock:
            # Cancelled while it waited; or cancelled and resumed, so that it was queued twice.
            if job not in self._told or job in self._begun:
                return
            self._begun.add(job)
        run = Run(
            job,
            self._home,
            self._store,
            self._executor,
            Around(stop=lambda: self._told.get(job), claims=self._claims),
        )
        try:
            run()
            self._trouble[job] = run.trouble
        except Exception as error:  # noqa: BLE001  a fault here must not leave a job RUNNING
            self._fail(job, error)
        finally:
            with self._lock:
                self._told.pop(job, None)
                self._begun.discard(job)

    def _fail(self, job: str, error: Exception) -> None:
        sentence = f"the job stopped with {type(error).__name__}: {' '.join(str(error).split())}"
        self._trouble[job] = sentence
        try:
            self._store.set_job(job, "FAILED", sentence)
        except (JobError, StoreError) as unwritten:
            self._trouble[job] = str(unwritten)


def start(home: Path, namespace: str, **options: Any) -> Any:
    """Start the manager, or return the one that a killed program left on a cluster."""
    actor: Any = ray.remote(JobManager)
    named = actor.options(name=cluster.MANAGER, namespace=namespace, **cluster.ACTOR, **options)
    return named.remote(str(home), namespace)
