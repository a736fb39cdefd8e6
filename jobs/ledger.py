"""What became of a job's tasks, written into the store: units, rows, files, and what is kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from jobs import checkpoints, disk
from jobs.tasks import Outcome, Plan, Task
from store import artifacts


class Ledger:
    """The entries of one job."""

    def __init__(self, job: str, home: Path, store: Any) -> None:
        self._job = job
        self._home = home
        self._store = store

    def begin(self, plan: Plan, model: str) -> int:
        """List what a job has to do and what it leaves out; return the number of its tasks."""
        last = [plan.last] if plan.last else []
        tasks = [*plan.tasks, *last]
        for hashed in plan.remember:
            self._store.remember_tensor(*hashed)
        self._store.add_labels(model, plan.labels)
        self._store.add_job_units(self._job, _waiting(tasks))
        for unit in self._store.units(self._job).to_pylist():
            if unit["state"] in ("cancelled", "failed", "running"):
                self._store.link_unit(self._job, unit["label"], None, "waiting")
        for layer, reason in plan.skipped:
            self._store.link_unit(self._job, layer, None, "skipped", reason)
        return len(tasks)

    def settle(self, task: Task, outcome: Outcome, model: str) -> str:
        """Store a task's unit in one transaction, then the links to it; return its state."""
        self._remember(outcome)
        if outcome.unit:
            self._finish(task, outcome)
        self._list(outcome)
        if outcome.matrix_key:
            self._store.link_matrix(model, task.label, outcome.matrix_key)
        state = self._state(task, outcome)
        if state == "cancelled":
            self.cancel(task)
            return state
        unit = outcome.key if outcome.unit or outcome.state == "known" else None
        self._store.link_unit(self._job, task.label, unit or None, state, outcome.message)
        return state

    def keyed(self, task: Task, outcome: Outcome) -> None:
        """Have a task wait again, with what was hashed for its key remembered."""
        self._remember(outcome)
        self._store.link_unit(self._job, task.label, None, "waiting")

    def cancel(self, task: Task) -> None:
        """Mark a task that was stopped, and say what of it is kept."""
        kept = ""
        if task.whole is not None or task.stage is not None:
            rows = self._store.stop_live(self._job, task.label)
            if task.whole is not None and task.whole.unit == "training":
                kept = self._kept(task, rows)
        self._store.link_unit(self._job, task.label, None, "cancelled", kept)

    def end(self) -> None:
        """Delete the working files that were not used for longest, where they are too many."""
        disk.trim(self._home, set(self._store.active_units(self._job)))

    def _list(self, outcome: Outcome) -> None:
        """List the files that a stage left in the home, or that are there no more."""
        if outcome.files is not None and outcome.state != "failed":
            self._store.add_artifacts(outcome.key, outcome.files)
        if outcome.removed:
            self._store.drop_artifacts(list(outcome.removed))

    def _remember(self, outcome: Outcome) -> None:
        for hashed in outcome.remember:
            self._store.remember_tensor(*hashed)

    def _finish(self, task: Task, outcome: Outcome) -> None:
        files = [artifacts.keep(self._home, b, ".npy") for b in outcome.arrays.values()]
        kept = pa.Table.from_pylist(files) if files else None
        self._store.finish_unit(dict(outcome.unit), outcome.rows, outcome.spectra, kept)
        if task.whole is not None and task.whole.unit == "training":
            written = checkpoints.listed(self._home, outcome.key)
            self._store.add_artifacts(outcome.key, written)

    def _kept(self, task: Task, rows: int) -> str:
        """List the checkpoints of a training run that was stopped, and say what is kept."""
        units = self._store.units(self._job).to_pylist()
        key = next((unit["unit"] for unit in units if unit["label"] == task.label), None)
        written = checkpoints.listed(self._home, key) if key else None
        if key is None or written is None:
            return "stopped before its first checkpoint: resume begins anew"
        self._store.add_artifacts(key, written)
        return f"{rows} rows and {written.num_rows} checkpoints are kept: resume goes on from there"

    def _state(self, task: Task, outcome: Outcome) -> str:
        if outcome.state != "known":
            return outcome.state
        if task.state:
            return task.state
        [stored] = self._store.known_units([outcome.key]).to_pylist()
        return str(stored["state"])


def _waiting(tasks: Sequence[Task]) -> pa.Table:
    """Return what a job is to do; a stage of it says of which analysis its unit is."""
    nothing = pa.nulls(len(tasks), pa.string())
    return pa.table(
        {
            "label": pa.array([task.label for task in tasks], pa.string()),
            "unit": nothing,
            "position": pa.array(range(len(tasks)), pa.int64()),
            "analysis": pa.array([t.analysis if t.stage else None for t in tasks], pa.string()),
        }
    )
