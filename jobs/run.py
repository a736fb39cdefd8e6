"""One job from its plan to its end, whoever executes the tasks: the manager and `--local` alike.

State lives in the store: a job that stops anywhere is resumed by running it again, because results
that are stored are skipped by their content key.
"""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from jobs import requests
from jobs.catalog import Catalog
from jobs.errors import JobError
from jobs.executor import Claims, Executor
from jobs.ledger import Ledger
from jobs.tally import Tally
from jobs.tasks import Labelled, Outcome, Plan, Task
from jobs.waiting import Waiting, with_threads
from store.errors import StoreError

TICK = 0.2
SOFT, GIVE_UP = 5.0, 10.0  # seconds after a cancel: force it, and wait no longer


@dataclasses.dataclass(frozen=True)
class Around:
    """What a run hears and says: `stop()` is the state to end with, or None to go on."""

    stop: Callable[[], str | None] = lambda: None
    watch: Callable[[], object] = lambda: None
    claims: Claims = dataclasses.field(default_factory=Claims)


class Run:
    """One job being run."""

    def __init__(
        self,
        job: str,
        home: Path,
        store: Any,
        executor: Executor,
        around: Around | None = None,
    ) -> None:
        around = around or Around()
        self.job = job
        self._home = home
        self._store = store
        self._executor = executor
        self._ledger = Ledger(job, home, store)
        self._stop = around.stop
        self._claims = around.claims
        self._watch = around.watch
        self._tally = Tally(job, store)
        self._keys: dict[str, str] = {}  # label to the matrix key of a layer that has a spectrum
        self.trouble = ""  # what could not be written into the store

    def __call__(self) -> str:
        """Run the job to its end and return the state it ends in."""
        try:
            state, message = self._run()
        except KeyboardInterrupt:
            # The counts are written now and then: what is done by now is to be in them.
            with contextlib.suppress(JobError, StoreError):
                self._progress(force=True)
            raise
        except (JobError, StoreError) as error:
            state, message = "FAILED", str(error)
        try:
            self._progress(force=True)
            if message:
                self._log("error" if state == "FAILED" else "info", message)
            self._store.set_job(self.job, state, message)
        except (JobError, StoreError) as error:
            # A full disk cannot take the message either: the next start-up marks the job.
            self.trouble = str(error)
        return state

    def _run(self) -> tuple[str, str]:
        self._store.set_job(self.job, "RUNNING")
        [job] = self._store.job(self.job).to_pylist()
        request = requests.of(self._store, Catalog.load(self._home), job)
        for declared in request.declared:
            self._store.declare(declared)
        device, warning = self._executor.device(requests.device(request, job["device"]))
        if warning:
            self._log("warning", warning)
        at = {"device": device, "home": str(self._home)}
        plan = self._executor.plan(dataclasses.replace(request, **at))
        own = {**at, "job": self.job, "model": job["model"]}
        self._begin(job["model"], plan)
        tasks = [dataclasses.replace(task, **own) for task in plan.tasks]
        self._drain(tasks, job["model"], self._at_once(plan, device))
        if plan.last is not None and not self._stop():
            last = dataclasses.replace(plan.last, spectra=self._spectra(plan), **own)
            self._drain([last], job["model"])
        if request.stages:
            self._ledger.end()
        return self._tally.verdict(self._stop())

    def _begin(self, model: str, plan: Plan) -> None:
        self._tally.total = self._ledger.begin(plan, model)
        if plan.skipped:
            self._log("info", f"{len(plan.skipped)} tensors are skipped, each with its reason")
        self._progress(force=True)

    def _at_once(self, plan: Plan, device: str) -> float:
        """Return how many tasks may run at once, whatever the executor has room for."""
        if plan.at_once is None:
            return math.inf
        if plan.at_once < min(self._executor.room(device), len(plan.tasks)):
            self._log("info", f"{plan.at_once} at once, for no more fit in memory")
        return plan.at_once

    def _drain(self, tasks: Iterable[Task], model: str, at_once: float = math.inf) -> None:
        """Run tasks to their ends, or cancel them when the job is told to stop."""
        waiting = Waiting()
        for task in tasks:
            if not task.state:
                waiting.append(task)
                continue
            found = Outcome("known", "", task.key, task.matrix_key)
            waiting.note(task.label, self._settle(task, found, model))
        running: dict[Any, Task] = {}
        try:
            while (waiting or running) and not self._stop():
                self._fill(waiting, running, at_once)
                ended = self._ended(running)
                try:
                    # Before the writing, so that no worker waits for it.
                    self._fill(waiting, running, at_once)
                finally:
                    self._settle_all(ended, waiting, model)
                self._give_up(waiting, model)
            if self._stop():
                self._cancel(running, waiting, model)
        finally:
            self._abandon(running)

    def _abandon(self, running: dict[Any, Task]) -> None:
        """End what is still running, so that neither a worker nor another job waits for it."""
        for handle, task in running.items():
            self._executor.cancel(handle, force=True)
            self._claims.release(task.identity)

    def _fill(self, waiting: Waiting, running: dict[Any, Task], at_once: float) -> None:
        """Submit what there is room for; a task that another job has in hand waits its turn."""
        if not waiting:
            return
        room: float = self._executor.room(next(iter(waiting)).device)
        # Beside a job that fills every slot, each job has at least one task.
        room = min(room if running else max(room, 1), at_once - len(running))
        at_once = len(running) + min(waiting.ready(), room)
        while room > 0 and (task := waiting.take(self._claims.take)) is not None:
            running[self._submitted(with_threads(task, at_once))] = task
            room -= 1

    def _submitted(self, task: Task) -> Any:
        """Start a task that is claimed; the claim goes when it cannot be started."""
        try:
            self._store.link_unit(self.job, task.label, None, "running")
            return self._executor.submit(task)
        except BaseException:
            self._claims.release(task.identity)
            raise

    def _ended(self, running: dict[Any, Task]) -> list[tuple[Task, Outcome]]:
        if not running:
            time.sleep(TICK)  # another job has all that is left in hand
            return []
        ended = self._executor.wait(list(running), TICK)
        return [(running.pop(handle), outcome) for handle, outcome in ended]

    def _settle_all(
        self, ended: Iterable[tuple[Task, Outcome]], waiting: Waiting, model: str
    ) -> None:
        """Settle every task that ended, and only then raise what the first of them raised.

        One whose key is known only now waits once more, to be claimed by it.
        """
        faults = []
        for task, outcome in ended:
            try:
                if outcome.state == "keyed":
                    self._ledger.keyed(task, outcome)
                    waiting.append(dataclasses.replace(task, key=outcome.key))
                else:
                    state = self._settle(task, outcome, model)
                    waiting.note(task.label, state, outcome.message)
            except (JobError, StoreError) as error:
                faults.append(error)
            finally:
                self._claims.release(task.identity)
        if faults:
            raise faults[0]
        self._progress()

    def _give_up(self, waiting: Waiting, model: str) -> None:
        """Settle what waits for a task that failed, or that was stopped."""
        while lost := waiting.lost():
            for task, outcome in lost:
                waiting.note(task.label, self._settle(task, outcome, model), outcome.message)

    def _settle(self, task: Task, outcome: Outcome, model: str) -> str:
        """Store what became of one task, count it, and return its state."""
        state = self._ledger.settle(task, outcome, model)
        self._tally.add(state, reused=outcome.state == "known")
        if state == "done" and outcome.matrix_key:
            self._keys[task.label] = outcome.matrix_key
        if state == "failed":
            where = f" ({outcome.detail})" if outcome.detail else ""
            self._log("error", outcome.message + where, outcome.key)
        return state

    def _cancel(self, running: dict[Any, Task], waiting: Waiting, model: str) -> None:
        """Stop softly, by force after five seconds; what ends by itself meanwhile is kept."""
        began = time.monotonic()
        soft = SOFT if self._stop() == "CANCELLED" else 0.0
        for handle in running:
            self._executor.cancel(handle, force=not soft)
        forced = not soft
        while running and time.monotonic() - began < GIVE_UP:
            self._settle_all(self._ended(running), waiting, model)
            if not forced and time.monotonic() - began > soft:
                forced = True
                for handle in running:
                    self._executor.cancel(handle, force=True)
        for task in [*running.values(), *waiting]:
            self._ledger.cancel(task)

    def _spectra(self, plan: Plan) -> list[Labelled]:
        """Return the layers of the first stage that have a spectrum, as the second needs them."""
        if not self._keys:
            raise JobError("no layer has a spectrum to work on: see the log for what failed")
        return [
            {**detail, "matrix_key": self._keys[layer]}
            for layer, detail in plan.details.items()
            if layer in self._keys
        ]

    def _progress(self, *, force: bool = False) -> None:
        if force or self._tally.is_due():
            self._tally.write()
            self._watch()

    def _log(self, level: str, text: str, unit: str = "") -> None:
        self._store.log(self.job, unit or None, level, text)
