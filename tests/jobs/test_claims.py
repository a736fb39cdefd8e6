"""What runs at once: no more than fits in memory, and the same work only once."""

import contextlib
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis.registry import Work
from jobs import contents, memory, requests, whole
from jobs.catalog import Catalog
from jobs.client import Client
from jobs.executor import Claims, InProcess
from jobs.recall import StoreRecall
from jobs.run import Around, Run
from jobs.tasks import Task
from tests.jobs import made_up, tiny
from tests.jobs.made_up import Row, state

pytestmark = pytest.mark.usefixtures("listed")


class AllAtOnce(InProcess):
    """Has room for any number of tasks, and notes how many it held at most."""

    most = 0

    def room(self, device: str) -> int:
        return 100 - len(self._queue)

    def submit(self, task: Task) -> int:
        handle = super().submit(task)
        self.most = max(self.most, len(self._queue))
        return handle


@pytest.mark.parametrize(
    ("free", "needed", "most"),
    [(1000, 300, 3), (300, 300, 1), (1000, 1, tiny.MATRICES), (1000, 0, tiny.MATRICES)],
)
def test_no_more_matrices_are_worked_on_at_once_than_fit_in_memory(
    client: Client, model: Path, monkeypatch: pytest.MonkeyPatch, free: int, needed: int, most: int
) -> None:
    def norm(matrix: Any, params: Any) -> Iterator[Row]:
        yield Row(float(matrix.dense().norm()))

    def work(source: Any, params: Any, layers: Any) -> Work:
        return Work("some", needed)

    monkeypatch.setattr(memory, "free", lambda device="cpu": free)
    job, store = made_up.waiting(client, "matrix", model), client._engine.store
    executor = AllAtOnce(StoreRecall(store))
    with made_up.analysis(norm, "matrix", work):
        assert Run(job, client.home, store, executor)() == "DONE"
    assert executor.most == most
    said = [text for text in client.store.log_lines(job)["text"] if "at once" in text]
    assert said == ([f"{most} at once, for no more fit in memory"] if most < tiny.MATRICES else [])


def planned(client: Client, job: str) -> Task:
    store = client._engine.store
    [row] = store.job(job).to_pylist()
    request = requests.of(store, Catalog.load(client.home), row)
    [task] = InProcess(StoreRecall(store)).plan(request).tasks
    return task


def test_a_training_run_is_the_same_work_under_every_model(client: Client, model: Path) -> None:
    jobs = [made_up.waiting(client, "training", name) for name in (model, "sample")]
    with made_up.analysis(made_up.never, "training"):
        first, second = (planned(client, job) for job in jobs)
    assert (first.identity, first.whole) == (second.identity, second.whole)


def test_what_another_job_has_in_hand_under_another_path_is_waited_for(
    client: Client, model: Path
) -> None:
    job, store, claims = made_up.waiting(client, "model", model), client._engine.store, Claims()
    seen: list[str] = []

    class Watched(InProcess):
        def room(self, device: str) -> int:
            [unit] = store.units(job).to_pylist()
            seen.append(unit["state"])
            if len(seen) == 4:
                claims.release(key)
            return super().room(device)

    def measure(*_: Any) -> Iterator[Row]:
        assert len(seen) >= 4, "the other job has it still"
        yield Row(1.0)

    with made_up.analysis(measure, "model"):
        task, recall = planned(client, job), StoreRecall(store)
        assert not task.key, "no file is hashed yet"
        assert task.whole is not None
        hashes = contents.Hashes(recall)
        key = whole.keyed(task, whole.open_source(task.whole), hashes.read)[0].key
        assert claims.take(key)
        run = Run(job, client.home, store, Watched(recall), Around(claims=claims))
        assert run() == "DONE"
    assert seen[1:3] == ["waiting"] * 2
    assert not claims._taken


@pytest.mark.parametrize("unit", ["model", "series", "training"])
def test_two_jobs_of_equal_content_compute_it_once(
    client: Client, series: Path, tmp_path: Path, unit: str
) -> None:
    other = tmp_path / "other"
    shutil.copytree(series, other)
    jobs = [made_up.waiting(client, unit, path) for path in (series, other)]
    store, claims, calls = client._engine.store, Claims(), []
    together = threading.Barrier(2)

    def measure(*_: Any) -> Iterator[Row]:
        calls.append(1)
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait(1.0)  # passed by two that run at once
        yield Row(1.0)

    runs = [
        Run(job, client.home, store, InProcess(StoreRecall(store)), Around(claims=claims))
        for job in jobs
    ]
    with made_up.analysis(measure, unit):
        threads = [threading.Thread(target=run) for run in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(calls) == 1
    assert sorted(state(client, job) for job in jobs) == [
        ("DONE", 0, 0, 1, 1), ("DONE", 1, 0, 0, 1),
    ]  # fmt: skip
    for job in jobs:
        assert list(client.store.results(job)["top"]) == [1.0]
    assert not claims._taken
