"""What a client can have done: by the manager of a Ray cluster, here in process, or not at all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from jobs.errors import Interrupted, JobError
from jobs.executor import InProcess
from jobs.recall import StoreRecall
from jobs.run import Around, Run
from jobs.tasks import Request


class Engine(Protocol):
    """Runs jobs and reads models' headers for a client."""

    can_run: bool
    store: Any  # the store's own methods

    def describe(self, path: str, allow_pickle: bool, base: str | None) -> dict[str, Any]:
        """Return a model's header, its tensors, its labels and its files."""

    def predict(self, request: Request) -> dict[str, Any]:
        """Return what a job on a whole model would take."""

    def start(self, job: str) -> None:
        """Run a job that the store knows."""

    def cancel(self, job: str) -> None:
        """Stop a job."""

    def trouble(self, job: str) -> str:
        """Return what could not be written into the store of a job that ended."""

    def cluster(self) -> dict[str, Any]:
        """Return mode, cores, GPUs and running jobs."""


class Browsing:
    """No workers: the store alone, open in this process."""

    can_run = False
    cure = "start the dashboard with `make app`, or use `python -m jobs analyze`"

    def __init__(self, store: Any) -> None:
        self.store = store

    def describe(self, path: str, allow_pickle: bool, base: str | None) -> dict[str, Any]:
        """Return a model's header, its tensors, its labels and its files."""
        from jobs import plan  # imports torch, which `--help` and the pages do without

        return plan.describe(path, allow_pickle, base)

    def predict(self, request: Request) -> dict[str, Any]:
        """Return what a job on a whole model would take."""
        from jobs import plan  # as above

        return plan.predict(request)

    def start(self, job: str) -> None:
        """Raise JobError: nothing runs here."""
        raise JobError(f"job {job} cannot run here, for there are no workers: {self.cure}")

    def cancel(self, job: str) -> None:
        """Mark the job: no process works on it."""
        self.store.set_job(job, "CANCELLED", "cancelled")

    def trouble(self, job: str) -> str:
        """Return nothing: no job runs here."""
        del job
        return ""

    def cluster(self) -> dict[str, Any]:
        """Return mode, cores, GPUs and running jobs."""
        return {"mode": "browsing only", "cores": 0, "gpus": 0, "running": 0}


class Local(Browsing):
    """Runs each job in this thread, to its end."""

    can_run = True

    def __init__(self, store: Any, home: Path, watch: Callable[[str], object]) -> None:
        super().__init__(store)
        self._home = home
        self._watch = watch
        self._trouble = ""

    def start(self, job: str) -> None:
        """Run the job to its end. Raises Interrupted when the program is told to stop."""
        executor = InProcess(StoreRecall(self.store, told=lambda: self._watch(job)))
        around = Around(watch=lambda: self._watch(job))
        run = Run(job, self._home, self.store, executor, around)
        try:
            run()
        except (KeyboardInterrupt, Interrupted) as error:
            self.store.interrupt_running()
            raise Interrupted(f"job {job} was interrupted") from error
        self._trouble = run.trouble

    def trouble(self, job: str) -> str:
        """Return what could not be written into the store."""
        del job
        return self._trouble

    def cluster(self) -> dict[str, Any]:
        """Return mode, cores, GPUs and running jobs."""
        return {"mode": "in process", "cores": 1, "gpus": 0, "running": 0}
