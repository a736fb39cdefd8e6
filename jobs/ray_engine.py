"""What a client can have done by the manager of a running Ray cluster."""

from typing import Any

import ray

from jobs import cluster, ray_executor
from jobs.errors import Unreachable
from jobs.tasks import Request

PATIENCE = 10.0  # seconds that a page waits for an answer of the store


class RayEngine:
    """Asks the home's actors; the jobs run on whether or not this process does."""

    can_run = True

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self.store = cluster.RemoteStore(namespace, timeout=PATIENCE)

    def describe(self, path: str, allow_pickle: bool, base: str | None) -> dict[str, Any]:
        """Return a model's header, its tensors, its labels and its files, read by a worker."""
        options = ray_executor.describe.options(runtime_env=cluster.environment())
        found: dict[str, Any] = cluster.answer(options.remote(path, allow_pickle, base))
        return found

    def predict(self, request: Request) -> dict[str, Any]:
        """Return what a job on a whole model would take, found by a worker."""
        where = ray_executor.at_home(request)
        options = ray_executor.predict.options(runtime_env=cluster.environment(), **where)
        found: dict[str, Any] = cluster.answer(options.remote(request))
        return found

    def start(self, job: str) -> None:
        """Have the manager run a job that the store knows."""
        cluster.answer(self._manager().start.remote(job))

    def cancel(self, job: str) -> None:
        """Have the manager stop a job."""
        cluster.answer(self._manager().cancel.remote(job))

    def stop(self) -> None:
        """Have the manager interrupt every job."""
        cluster.answer(self._manager().stop.remote(), timeout=5)

    def trouble(self, job: str) -> str:
        """Return what could not be written into the store of a job that ended."""
        return str(cluster.answer(self._manager().trouble.remote(job), timeout=PATIENCE))

    def cluster(self) -> dict[str, Any]:
        """Return mode, cores, GPUs and running jobs."""
        try:
            resources = cluster.resources()
            nodes = sum(node["Alive"] for node in ray.nodes())  # type: ignore[no-untyped-call]
            running = cluster.answer(self._manager().active.remote(), timeout=PATIENCE)
        except ray.exceptions.RayError as error:
            raise Unreachable("the cluster gives no answer: try again") from error
        where = "this machine" if nodes == 1 else f"{nodes} nodes"
        return {
            "mode": f"on {where}",
            "cores": int(resources.get("CPU", 0)),
            "gpus": int(resources.get("GPU", 0)),
            "running": len(running),
        }

    def _manager(self) -> Any:
        return cluster.find_actor(cluster.MANAGER, self._namespace)
