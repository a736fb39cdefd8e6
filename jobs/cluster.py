"""Ray itself: starting it, connecting to it, and running tasks in its workers.

Ray ties its daemons to the thread that started them, so `start` is called on the main thread of a
program that lives as long as the cluster is needed.
"""

import contextlib
import ctypes
import os
from collections.abc import Iterator
from typing import Any

import ray
import ray.exceptions

from jobs import catalog, interrupts
from jobs.errors import JobError, Unreachable

STORE, MANAGER = "store", "manager"
HEAD = {"node:__internal_head__": 0.001}
# Both actors live on the head, beside the database; each comes back after a crash.
ACTOR = {
    "num_cpus": 0,
    "max_concurrency": 8,
    "max_restarts": -1,
    "max_task_retries": 3,
    "resources": HEAD,
    "get_if_exists": True,  # what a killed program left on a shared cluster is taken over
}
OBJECT_STORE = 300 * 2**20
RETRIES = 3
KILLED = 9
HASH = "RANKSCOPE_CATALOG"
AUTH_MODE = "RAY_AUTH_MODE"
# No report leaves the machine; and Ray leaves CUDA_VISIBLE_DEVICES alone for tasks without a GPU,
# which it warns about unless told.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


@contextlib.contextmanager
def started(namespace: str, address: str = "") -> Iterator[str]:
    """Start Ray on this machine, or connect to the cluster at `address`; yield its address.

    Raises JobError when neither works. Leaves the program's own signal handlers as they were.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        with interrupts.at_once():
            _begin(namespace, address)
        yield str(ray.get_runtime_context().gcs_address)
    finally:
        ray.shutdown()


def authentication() -> str:
    """Return the mode that Ray chose at its start: a new local cluster turns tokens on."""
    return os.environ.get(AUTH_MODE, "")


def connect(address: str, namespace: str, auth: str = "") -> None:
    """Make this process a client of a running cluster. Raises Unreachable."""
    if ray.is_initialized():
        return
    if auth and AUTH_MODE not in os.environ:
        os.environ[AUTH_MODE] = auth
        # Ray reads the variable when it is imported.
        with contextlib.suppress(ImportError, AttributeError):
            from ray._raylet import Config  # type: ignore[attr-defined]

            Config.initialize("")
    with interrupts.at_once():
        try:
            ray.init(address=address, **_options(namespace, local=False))
        except (ConnectionError, RuntimeError, OSError) as error:
            raise Unreachable(
                f"the owner's Ray at {address} gives no answer ({first_line(error)}): try again"
            ) from error
        _be_quiet()


def disconnect() -> None:
    """Leave the cluster; it runs on."""
    ray.shutdown()


def environment() -> dict[str, Any]:
    """Return the runtime environment of workers: changed sources get fresh ones by their hash.

    It is the same in the program and in its actors, so that they share the workers.
    """
    before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    folders = dict.fromkeys(filter(None, [str(catalog.project_folder()), *before]))
    own = {"PYTHONPATH": os.pathsep.join(folders), HASH: catalog.source_hash()}
    return {"env_vars": own}


def die_with_parent() -> None:
    """Have the kernel end this worker when the raylet that started it ends (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, KILLED)


def answer(reference: Any, timeout: float | None = None) -> Any:
    """Return what a task or an actor's method answers.

    Raises Unreachable while the actor restarts, JobError for a worker that died, and an error
    raised there as itself, without the remote traceback.
    """
    try:
        return ray.get(reference, timeout=timeout)
    except ray.exceptions.RayTaskError as error:  # first, for it is of its cause's class as well
        raise error.cause from None
    except (
        ray.exceptions.ActorUnavailableError,
        ray.exceptions.ActorDiedError,
        ray.exceptions.GetTimeoutError,
        ray.exceptions.RaySystemError,
    ) as error:
        raise Unreachable("the store restarts: try again in a few seconds") from error
    except ray.exceptions.RayError as error:
        raise JobError(lost(error)) from error


def find_actor(name: str, namespace: str) -> Any:
    """Return the handle of a named actor. Raises Unreachable."""
    try:
        return ray.get_actor(name, namespace=namespace)
    except (ValueError, ray.exceptions.RayError) as error:
        raise Unreachable(f"the home's {name} is not there (yet): try again") from error


class RemoteStore:
    """The store's methods, answered by its actor: Arrow tables in and out."""

    def __init__(self, namespace: str, timeout: float | None = None) -> None:
        self._namespace = namespace
        self._timeout = timeout
        self._actor: Any = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if self._actor is None:
            self._actor = find_actor(STORE, self._namespace)
        method = getattr(self._actor, name)
        return lambda *args, **kwargs: answer(method.remote(*args, **kwargs), self._timeout)


def resources() -> dict[str, float]:
    """Return what the cluster has in all: CPU, GPU, ..."""
    found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return found


def lost(error: Exception) -> str:
    """Return what became of a worker, in a sentence."""
    if isinstance(error, ray.exceptions.OutOfMemoryError):
        return "its worker was ended for want of memory: free some, or run fewer at once"
    if isinstance(error, ray.exceptions.RayTaskError):
        return f"its worker failed: {_last_line(error)}"
    return (
        f"its worker died {RETRIES + 1} times (killed, or out of memory): resume the job, "
        "or leave this layer out with --layers"
    )


def _options(namespace: str, *, local: bool) -> dict[str, Any]:
    options: dict[str, Any] = {
        "namespace": namespace,
        "log_to_driver": False,
        "logging_level": "ERROR",
        "runtime_env": environment(),
    }
    if local:
        options |= {"include_dashboard": False, "object_store_memory": OBJECT_STORE}
    return options


def _begin(namespace: str, address: str) -> None:
    try:
        ray.init(address=address or "local", **_options(namespace, local=not address))
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = f"the Ray cluster at {address}" if address else "Ray on this machine"
        raise JobError(
            f"cannot start {where}: {first_line(error)}; check RAY_ADDRESS, or use --local"
        ) from error
    _be_quiet()


def _be_quiet() -> None:
    """Keep Ray's notes about dead workers off standard output: the job's log has them."""
    with contextlib.suppress(ImportError, AttributeError, KeyError):
        from ray._private.ray_logging import global_worker_stdstream_dispatcher

        global_worker_stdstream_dispatcher.remove_handler("ray_print_logs")


def first_line(error: Exception) -> str:
    """Return the first line of an error of Ray's, which may have many."""
    return str(error).strip().partition("\n")[0]


def _last_line(error: Exception) -> str:
    return str(error).strip().rpartition("\n")[2]
