"""Jobs in Ray workers, all on one server; this process is its client."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
import ray
import torch

from jobs import client as clients
from jobs import cluster, store_actor
from jobs import home as places
from jobs.client import Client
from jobs.engine import Local
from jobs.errors import JobError, Unreachable
from store import Store
from tests.jobs import servers, tiny
from tests.jobs.served import Served
from tests.jobs.waiting import until
from tests.store.contract import StoreContract

SQUARE = (tiny.HIDDEN, tiny.HIDDEN)


@pytest.fixture(autouse=True)
def _released(served: Served) -> Iterator[None]:
    yield
    served.gate.release()


def test_a_job_ends_with_the_rows_of_a_run_in_process(served: Served, home: Path) -> None:
    name = served.model()
    job = served.client.submit(name, "spectrum", {})
    assert served.end(job)["done"] == tiny.MATRICES
    path = served.client.store.model(name)["path"][0]
    with clients.opened(home) as store:
        local = Client(home, Local(store, home, lambda job: None))
        own = local.store.results(local.submit(path, "spectrum", {}))
    own = own[own["status"] != "skipped"].reset_index(drop=True)
    pd.testing.assert_frame_equal(served.rows(job), own, rtol=1e-9)


def test_as_many_tasks_run_at_once_as_there_are_cores(served: Served) -> None:
    job = served.held()
    row = served.client.job(job)
    assert (row["state"], row["done"], row["total"]) == ("RUNNING", 0, tiny.MATRICES)
    states = served.client.store.units(job)["state"].value_counts()
    cores = served.client.cluster()["cores"]
    assert states["running"] == cores
    assert served.client.cluster()["running"] == 1
    served.gate.release()
    assert served.end(job)["state"] == "DONE"
    assert len(served.gate.calls()) == tiny.MATRICES


def test_a_cancelled_job_leaves_no_partial_row_and_can_be_resumed(served: Served) -> None:
    job = served.held()
    served.client.cancel(job)
    assert served.end(job, 15)["state"] == "CANCELLED"
    states = set(served.client.store.units(job)["state"])
    assert states == {"cancelled", "skipped"}
    assert served.rows(job)["norm"].isna().all()
    served.gate.release()
    served.client.resume(job)
    assert served.end(job)["state"] == "DONE"
    assert served.rows(job)["norm"].notna().all()


def test_a_killed_worker_is_replaced_and_the_job_ends_with_every_row(served: Served) -> None:
    job = served.held()
    for pid, _ in served.gate.calls():
        psutil.Process(pid).kill()
    until(lambda: len(served.gate.calls()) == 4, 60, "for the second attempts")
    served.gate.release()
    row = served.end(job)
    assert (row["state"], row["failed"]) == ("DONE", 0)
    assert served.rows(job)["norm"].notna().all()
    layers = [layer for _, layer in served.gate.calls()]
    assert len(layers) == tiny.MATRICES + 2  # but for the two that were killed, each one once


def test_a_failed_layer_is_a_row_and_the_command_exits_1(served: Served) -> None:
    damaged = torch.full(SQUARE, float("nan")).half()
    name = served.model(model__layers__0__self_attn__q_proj__weight=damaged)
    run = served.command("analyze", name, "spectrum", "--layers", "blocks.0.*")
    code, out, err = run.ended()
    assert code == 1, err
    assert "failed: blocks.0.q: " in out
    assert "Traceback" not in err + out


def test_two_jobs_on_one_model_compute_nothing_twice(served: Served) -> None:
    name = served.model()
    first = served.client.submit(name, "spectrum", {})
    second = served.client.submit(name, "welore", {})
    assert served.end(first)["state"] == served.end(second)["state"] == "DONE"
    keys = [key for key in served.client.store.units(first)["unit"] if isinstance(key, str)]
    assert set(served.client.store.attempts(keys)["count"]) == {1}
    assert served.client.store.results(second)["layer"].notna().sum() == tiny.MATRICES


def kill_store(served: Served) -> None:
    store = cluster.find_actor(cluster.STORE, places.namespace(served.home))
    psutil.Process(cluster.answer(store.pid.remote())).kill()


def test_the_stores_owner_killed_in_a_job_loses_no_row(served: Served) -> None:
    job = served.held()
    kill_store(served)
    served.gate.release()
    row = served.end(job)
    assert (row["state"], row["failed"]) == ("DONE", 0)
    assert len(served.rows(job)) == tiny.MATRICES
    assert served.rows(job)["norm"].notna().all()


def test_the_stores_owner_killed_during_writes_loses_nothing_acknowledged(served: Served) -> None:
    store = cluster.RemoteStore(places.namespace(served.home))
    acknowledged: list[str] = []
    done = threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            number += 1
            with contextlib.suppress(Unreachable):
                store.remember_tensor("/made/up", 1, 1, f"t{number}", "0")
                acknowledged.append(f"t{number}")

    writing = threading.Thread(target=write)
    writing.start()
    until(lambda: len(acknowledged) > 20)
    kill_store(served)
    before = len(acknowledged)
    until(lambda: len(acknowledged) > before + 5, 30, "for writes after the restart")
    done.set()
    writing.join()
    kept = set(store.recall_tensors("/made/up", 1, 1).column("tensor").to_pylist())
    assert set(acknowledged) <= kept


def test_a_store_that_restarts_is_unreachable_and_then_answers(served: Served) -> None:
    impatient = cluster.RemoteStore(places.namespace(served.home), timeout=0.01)
    kill_store(served)
    with pytest.raises(Unreachable, match="try again"):
        impatient.counts()

    def answers() -> bool:
        with contextlib.suppress(Unreachable):
            served.client.store.counts()
            return True
        return False

    until(answers, 30)


def test_a_killed_manager_leaves_its_jobs_interrupted_and_resumable(served: Served) -> None:
    job = served.held()
    manager = cluster.find_actor(cluster.MANAGER, places.namespace(served.home))
    psutil.Process(cluster.answer(manager.pid.remote())).kill()
    assert served.end(job)["state"] == "INTERRUPTED"
    served.gate.release()
    served.client.resume(job)
    row = served.end(job)
    assert (row["state"], row["done"] + row["skipped"]) == ("DONE", tiny.MATRICES)


def made_up(factor: str, version: int = 1) -> str:
    return (
        servers.GATED.replace("def gated", "def made_up")
        .replace('title="Gated"', f'title="Made up", version={version}')
        .replace("params.factor *", f"{factor} * params.factor *")
    )


def test_an_analysis_dropped_in_is_found_everywhere_without_a_restart(served: Served) -> None:
    file = served.project / "analysis" / "made_up.py"
    file.write_text(made_up("1"))
    name = served.model()
    exact = tiny.tensors(served._seed)["model.embed_tokens.weight"].double().norm().item()

    def norm(job: str) -> float:
        assert served.end(job)["state"] == "DONE"
        return float(served.rows(job)["norm"][0])

    try:
        words = ["analyze", name, "made_up", "--set", "factor=2", "--layers", "embed"]
        code, out, err = served.command(*words).ended()
        assert code == 0, err
        assert norm(out.split("job ")[1].split(":")[0]) == pytest.approx(2 * exact)
        assert "result_made_up" in served.client.store.tables()
        # Changed code runs in fresh workers; the version says that the numbers are others.
        file.write_text(made_up("10", version=2))
        again = served.client.submit(name, "made_up", {"factor": 2}, "embed")
        assert norm(again) == pytest.approx(20 * exact)
        # A file that cannot be imported is listed with its error and hides no other.
        file.write_text("import nothing_of_this_name")
        assert "ModuleNotFoundError" in served.client.catalog()["broken"]["made_up"]
        with pytest.raises(JobError, match=r"analysis/made_up.py cannot be imported"):
            served.client.submit(name, "made_up", {})
        assert "spectrum" in served.client.catalog()["analyses"]
    finally:
        file.unlink()


def test_ctrl_c_in_a_client_leaves_the_job_running(served: Served) -> None:
    served.gate.hold()
    run = served.command("analyze", served.model(), "gated")
    until(lambda: len(served.gate.calls()) == 2, 60, "for two calls")
    run.send(signal.SIGINT)
    code, _, err = run.ended()
    job = served.client.store.jobs(1)["id"][0]
    assert code == 3
    assert f"job {job} goes on" in err
    assert f"python -m jobs status {job}" in err
    assert "Traceback" not in err
    assert served.client.job(job)["state"] == "RUNNING"
    cancelled = served.command("cancel", job)
    assert cancelled.ended()[0] == 0
    assert served.end(job, 15)["state"] == "CANCELLED"


def test_a_second_owner_and_a_local_run_are_refused_with_the_owners_pid(served: Served) -> None:
    code, _, err = served.command("analyze", "sample", "spectrum", "--local").ended()
    assert code == 2
    assert f"(pid {served.server.pid})" in err


def test_asked_for_a_gpu_where_there_is_none(served: Served) -> None:
    job = served.client.submit(served.model(), "gated", {}, "embed", "cuda")
    row = served.end(job)
    assert (row["state"], row["failed"]) == ("FAILED", 0)
    assert "use --device cpu" in row["message"]


@pytest.fixture(scope="module")
def actor(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A second store's actor, for the contract: a home of its own, emptied before each test."""
    del served  # it keeps this process connected
    home = tmp_path_factory.mktemp("contract")
    started = store_actor.start(home, "contract")
    yield started
    ray.kill(started)


@pytest.fixture
def fresh_store(actor: Any, tmp_path: Path) -> Any:
    home = str(tmp_path / "home")
    cluster.answer(
        actor.__ray_call__.remote(lambda self: (self.close(), Store.__init__(self, home))[1])
    )
    return cluster.RemoteStore("contract")


class TestTheStoreBehindAnActor(StoreContract):
    """The contract, with the store in a process of its own."""
