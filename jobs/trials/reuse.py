"""Which stages are to run: those whose rows are not stored, and those whose files are missed."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from jobs.tasks import Recall, Task
from jobs.trials import folders


def recognised(tasks: Sequence[Task], recall: Recall, home: Path) -> list[Task]:
    """Return the tasks with the states of those that need not run.

    A stage whose rows are stored, but whose files were deleted, is run again only where a stage
    that has to run reads them, or where they are what was asked for.
    """
    known = recall.known([task.key for task in tasks if task.key])
    missed: set[str] = set()  # labels whose files a stage that has to run reads
    found = []
    for task in reversed(tasks):
        stage = task.stage
        assert stage is not None
        wants = stage.wants or task.label in missed
        whole = folders.complete(home, stage.kind, task.key) if task.key else False
        state = known.get(task.key, "") if whole or not wants else ""
        if state:
            folders.use(folders.of(home, stage.kind, task.key))
        elif stage.needs_all:
            missed.update(stage.after)
        own = dataclasses.replace(stage, wants=wants)
        found.append(dataclasses.replace(task, stage=own, state=state))
    return found[::-1]
