"""The end of a sweep: the weights of beaten trials are deleted."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jobs.tasks import Outcome, Recall, Task
from jobs.trials import folders

KIND = "keep"


def run(task: Task, recall: Recall) -> Outcome:
    """Delete the weights of those trials of a job that another of them beats."""
    home = Path(task.home)
    removed = []
    for key in beaten(recall.trials(task.job)):
        folder = folders.of(home, "trial", key)
        if folder.exists():
            folders.remove(folder)
            removed.append(key)
    return Outcome("done", removed=removed)


def beaten(trials: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the keys of trials that another is as good as in bytes and loss, and better in one.

    Those whose weights another job is to keep are spared.
    """
    every = list(trials)
    return [
        own["key"] for own in every if not own["kept"] and any(_beats(one, own) for one in every)
    ]


def _beats(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    a, b = (one["bytes"], one["delta"]), (other["bytes"], other["delta"])
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))
