"""The manager's queue, without Ray: its jobs are made up and wait until they are let go."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs import cluster, manager
from jobs.manager import AT_ONCE, JobManager
from tests.jobs.waiting import until


class Held:
    """The jobs that run, and what was written of them."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.states: dict[str, str] = {}
        self.free = threading.Event()

    def run(self, job: str, *_: Any) -> Any:
        """Stand in for `Run`."""

        class Running:
            trouble = ""

            def __call__(_self) -> str:  # noqa: N805
                self.begun.append(job)
                self.free.wait(30)
                return "DONE"

        return Running()

    def set_job(self, job: str, state: str, _message: str = "") -> None:
        self.states[job] = state

    def interrupt_running(self) -> None: ...


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    made = Held()
    monkeypatch.setattr(cluster, "die_with_parent", lambda: None)
    monkeypatch.setattr(cluster, "RemoteStore", lambda _namespace: made)
    monkeypatch.setattr(manager, "RayExecutor", lambda _namespace: None)
    monkeypatch.setattr(manager, "Run", made.run)
    yield made
    made.free.set()


def full(held: Held, home: Path) -> JobManager:
    managing = JobManager(str(home), "made-up")
    for number in range(AT_ONCE):
        managing.start(f"running {number}")
    managing.start("waits")
    until(lambda: len(held.begun) == AT_ONCE)
    return managing


def test_a_job_that_waits_is_cancelled_at_once_and_never_begins(held: Held, home: Path) -> None:
    managing = full(held, home)
    managing.cancel("waits")
    assert held.states == {"waits": "CANCELLED"}
    assert "waits" not in managing.active()
    held.free.set()
    until(lambda: not managing.active())
    managing.start("next")
    until(lambda: "next" in held.begun)
    assert "waits" not in held.begun


def test_a_job_cancelled_while_it_waits_and_resumed_runs_once(held: Held, home: Path) -> None:
    managing = full(held, home)
    managing.cancel("waits")
    managing.start("waits")
    held.free.set()
    until(lambda: "waits" in held.begun and not managing.active())
    managing.start("next")
    until(lambda: "next" in held.begun)
    assert held.begun.count("waits") == 1


def test_a_job_that_waits_is_interrupted_with_the_others(held: Held, home: Path) -> None:
    managing = full(held, home)
    stopping = threading.Thread(target=managing.stop)
    stopping.start()
    until(lambda: "waits" in held.states)
    held.free.set()
    stopping.join()
    assert held.states == {"waits": "INTERRUPTED"}
    assert "waits" not in held.begun
