"""Tasks in Ray workers: what runs there, and how the manager hands it out."""

import contextlib
import threading
from collections.abc import Sequence
from typing import Any

import ray
import ray.exceptions

from jobs import cluster, interrupts
from jobs.errors import JobError
from jobs.tasks import Outcome, Plan, Request, Task

PROBE = 120.0  # seconds for a worker to start and import torch


@ray.remote(num_cpus=1, max_retries=cluster.RETRIES)
def run_task(task: Task, namespace: str) -> Outcome:
    """Run one unit in a worker."""
    with interrupts.ignored():  # an import cut short would spoil the worker for later tasks
        cluster.die_with_parent()
        from jobs import worker
        from jobs.recall import StoreRecall
    return worker.run_unit(task, StoreRecall(cluster.RemoteStore(namespace)))


@ray.remote(num_cpus=0, max_retries=cluster.RETRIES)
def make_plan(request: Request, namespace: str) -> Plan:
    """Plan a job in a worker, which has torch."""
    with interrupts.ignored():  # an import cut short would spoil the worker for later tasks
        cluster.die_with_parent()
        from jobs import plan
        from jobs.recall import StoreRecall
    return plan.make(request, StoreRecall(cluster.RemoteStore(namespace)))


@ray.remote(num_cpus=0, max_retries=cluster.RETRIES)
def describe(path: str, allow_pickle: bool, base: str | None) -> dict[str, Any]:
    """Read a model's header in a worker."""
    with interrupts.ignored():  # an import cut short would spoil the worker for later tasks
        cluster.die_with_parent()
        from jobs import plan
    return plan.describe(path, allow_pickle, base)


@ray.remote(num_cpus=0, max_retries=cluster.RETRIES)
def predict(request: Request) -> dict[str, Any]:
    """Predict a job in a worker, which has torch."""
    with interrupts.ignored():  # an import cut short would spoil the worker for later tasks
        cluster.die_with_parent()
        from jobs import plan
    return plan.predict(request)


@ray.remote(num_cpus=0, num_gpus=1, max_retries=0)
def has_cuda() -> bool:
    """Say whether torch sees the GPU that Ray gave to a worker."""
    import torch

    return torch.cuda.is_available()


def at_home(request: Request) -> dict[str, Any]:
    """Return the resources of a request whose answer depends on files in the home."""
    return {"resources": cluster.HEAD} if request.analysis["unit"] == "stages" else {}


class RayExecutor:
    """Runs tasks in Ray workers, as many at once as the cluster has cores or GPUs."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        # Renewed by each plan: changed sources get fresh workers.
        self._environment = cluster.environment()
        self._running: dict[Any, str] = {}  # handle to device
        # Seen once: asked again behind a job that holds every GPU, the probe would wait for it.
        self._has_cuda = False
        self._cancelled: set[Any] = set()
        self._lock = threading.Lock()

    def plan(self, request: Request) -> Plan:
        """Return the plan of a job, made by a worker."""
        self._environment = cluster.environment()
        options = make_plan.options(runtime_env=self._environment, **at_home(request))
        planned: Plan = cluster.answer(options.remote(request, self._namespace))
        return planned

    def device(self, asked: str) -> tuple[str, str]:
        """Return a GPU where Ray has one and torch can use it; ask Ray for none otherwise.

        A request that no node can meet would wait for ever, so resources are looked at first.
        """
        if asked == "cpu":
            return "cpu", ""
        if not cluster.resources().get("GPU"):
            if asked == "cuda":
                raise JobError("Ray has no GPU here: use --device cpu or --device auto")
            return "cpu", ""
        fault, cure = self._probe()
        if not fault:
            return "cuda", ""
        if asked == "cuda":
            raise JobError(f"{fault}: use --device cpu, or {cure}")
        return "cpu", f"{fault}: this job runs on the CPU"

    def _probe(self) -> tuple[str, str]:
        """Return why no worker can use a GPU, and a cure; nothing where one can."""
        if self._has_cuda:
            return "", ""
        probe = has_cuda.options(runtime_env=cluster.environment()).remote()
        ready, _ = ray.wait([probe], timeout=PROBE)
        if not ready:
            with contextlib.suppress(ray.exceptions.RayError, ValueError):
                ray.cancel(probe)
            return f"every GPU is in use by others for {PROBE:.0f} s now", "wait for them to end"
        self._has_cuda = bool(cluster.answer(probe))
        if self._has_cuda:
            return "", ""
        return (
            "Ray offers a GPU, but torch finds no CUDA device in its workers",
            "install a CUDA build of torch",
        )

    def room(self, device: str) -> int:
        """Return how many more tasks would run at once."""
        total = cluster.resources().get("GPU" if device == "cuda" else "CPU", 0)
        with self._lock:
            return int(total) - sum(other == device for other in self._running.values())

    def submit(self, task: Task) -> Any:
        """Start a task; a worker that dies is replaced and the task tried again."""
        wanted: dict[str, Any] = {"num_gpus": 1} if task.device == "cuda" else {}
        if task.stage is not None or (task.whole is not None and task.whole.unit == "training"):
            wanted["resources"] = cluster.HEAD  # its files are kept in the home
        options = run_task.options(runtime_env=self._environment, **wanted)
        handle = options.remote(task, self._namespace)
        with self._lock:
            self._running[handle] = task.device
        return handle

    def wait(self, handles: Sequence[Any], timeout: float) -> list[tuple[Any, Outcome]]:
        """Return the tasks that ended within `timeout` seconds."""
        if not handles:
            return []
        ended, _ = ray.wait(list(handles), num_returns=1, timeout=timeout)
        more, _ = ray.wait(list(handles), num_returns=len(handles), timeout=0)
        return [(handle, self._outcome(handle)) for handle in dict.fromkeys([*ended, *more])]

    def cancel(self, handle: Any, *, force: bool) -> None:
        """Interrupt a task, or end its worker."""
        self._cancelled.add(handle)
        if force:
            with self._lock:
                self._running.pop(handle, None)
        with contextlib.suppress(ray.exceptions.RayError, ValueError):
            # What a worker has asked of the store is to be answered.
            ray.cancel(handle, force=force, recursive=False)

    def _outcome(self, handle: Any) -> Outcome:
        with self._lock:
            self._running.pop(handle, None)
        try:
            outcome: Outcome = ray.get(handle)
            return outcome
        except ray.exceptions.TaskCancelledError:
            return Outcome("cancelled")
        except ray.exceptions.RayError as error:
            if handle in self._cancelled:
                return Outcome("cancelled")
            return Outcome("failed", cluster.lost(error), detail=cluster.first_line(error))
        finally:
            self._cancelled.discard(handle)
