"""Where tasks run: here, one after the other, or in Ray workers (see `jobs/cluster.py`)."""

import threading
from collections.abc import Hashable, Sequence
from typing import Any, Protocol

from jobs.tasks import Outcome, Plan, Request, Task


class Executor(Protocol):
    """Runs the tasks that were submitted."""

    def plan(self, request: Request) -> Plan:
        """Return the plan of a job."""

    def device(self, asked: str) -> tuple[str, str]:
        """Return the device for "auto", "cpu" or "cuda", and a warning or "".

        Raises JobError when "cuda" was asked for and there is none.
        """

    def room(self, device: str) -> int:
        """Return how many more tasks would run at once."""

    def submit(self, task: Task) -> Hashable:
        """Start a task and return its handle."""

    def wait(self, handles: Sequence[Any], timeout: float) -> list[tuple[Any, Outcome]]:
        """Return the handles that ended within `timeout` seconds, with their outcomes."""

    def cancel(self, handle: Any, *, force: bool) -> None:
        """Ask a task to stop, or end its process."""


class Claims:
    """Work that some job has in hand, so that two jobs do not compute the same matrix at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: set[str] = set()

    def take(self, identity: str) -> bool:
        """Claim the work; False when another job has it."""
        with self._lock:
            free = identity not in self._taken
            self._taken.add(identity)
            return free

    def release(self, identity: str) -> None:
        """Let go of the work."""
        with self._lock:
            self._taken.discard(identity)


class InProcess:
    """Runs each task in this thread, when it is waited for."""

    def __init__(self, recall: Any) -> None:
        self._recall = recall
        self._queue: dict[int, Task] = {}
        self._count = 0

    def plan(self, request: Request) -> Plan:
        """Return the plan of a job."""
        from jobs import plan  # imports torch, which `--help` and the pages do without

        return plan.make(request, self._recall)

    def device(self, asked: str) -> tuple[str, str]:
        """Return the device: a GPU for "auto" where torch has one."""
        import torch

        from jobs.errors import JobError

        cuda = torch.cuda.is_available()
        if asked == "cuda" and not cuda:
            raise JobError("torch finds no CUDA device here: use --device cpu or --device auto")
        return ("cuda" if cuda and asked != "cpu" else "cpu"), ""

    def room(self, device: str) -> int:
        """Return 1, or 0 while a task waits: they run one after the other."""
        del device
        return 1 - len(self._queue)

    def submit(self, task: Task) -> int:
        """Keep a task for the next `wait`."""
        self._count += 1
        self._queue[self._count] = task
        return self._count

    def wait(self, handles: Sequence[int], timeout: float) -> list[tuple[int, Outcome]]:
        """Run the first of the tasks to its end."""
        del timeout
        from jobs import worker

        handle = handles[0]
        task = self._queue.pop(handle, None)
        outcome = Outcome("cancelled") if task is None else worker.run_unit(task, self._recall)
        return [(handle, outcome)]

    def cancel(self, handle: int, *, force: bool) -> None:
        """Drop a task that has not begun; one that runs holds this very thread."""
        del force
        self._queue.pop(handle, None)
