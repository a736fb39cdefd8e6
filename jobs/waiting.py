"""The tasks of a job that wait: for room, for work another job has in hand, and for each other."""

import dataclasses
import os
from collections.abc import Callable, Iterator

from jobs.tasks import Outcome, Task

STOPPED = ("failed", "cancelled")
NEEDS = "needs "


class Waiting:
    """Tasks in the order of the plan, and what became of those that have ended."""

    def __init__(self) -> None:
        self._tasks: list[Task] = []
        self._ended: dict[str, str] = {}  # label to state
        self._said: dict[str, str] = {}  # label to why it failed

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(self._tasks)

    def append(self, task: Task) -> None:
        """Have a task wait."""
        self._tasks.append(task)

    def note(self, label: str, state: str, message: str = "") -> None:
        """Take note of how a task ended, and of what it said."""
        self._ended[label], self._said[label] = state, message

    def ready(self) -> int:
        """Return how many tasks wait for no other."""
        return sum(map(self._is_ready, self._tasks))

    def take(self, claim: Callable[[str], bool]) -> Task | None:
        """Return the first task that is ready and whose identity can be claimed; None for none."""
        for place, task in enumerate(self._tasks):
            if self._is_ready(task) and claim(task.identity):
                return self._tasks.pop(place)
        return None

    def lost(self) -> list[tuple[Task, Outcome]]:
        """Take out what can never run, with what is to be said of it."""
        found = [(task, label) for task in self._tasks for label in self._stopped(task)[:1]]
        gone = {task.label for task, _ in found}
        self._tasks = [task for task in self._tasks if task.label not in gone]
        return [
            (task, _without(label, self._ended[label], self._said[label])) for task, label in found
        ]

    def _is_ready(self, task: Task) -> bool:
        return task.stage is None or all(label in self._ended for label in task.stage.after)

    def _stopped(self, task: Task) -> list[str]:
        """Return what a task needs and will not get: a failure before what was only stopped."""
        if task.stage is None or not task.stage.needs_all:
            return []
        found = [label for label in task.stage.after if self._ended.get(label) in STOPPED]
        return sorted(found, key=lambda label: self._ended[label] != "failed")


def with_threads(task: Task, at_once: float) -> Task:
    """Return a stage with its share of the cores, all of them when it is alone."""
    if task.stage is None:
        return task
    threads = max(1, int((os.cpu_count() or 1) // max(at_once, 1)))
    return dataclasses.replace(task, threads=threads)


def _without(label: str, state: str, said: str) -> Outcome:
    if state != "failed":
        return Outcome("cancelled")
    if said.startswith(NEEDS):  # the first cause, however long the way to it
        return Outcome("failed", said)
    return Outcome("failed", f"{NEEDS}{label}, which failed{': ' if said else ''}{said}")
