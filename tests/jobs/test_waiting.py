"""The tasks of a job that wait for each other, and the cores that they share."""

import pytest

from jobs.tasks import Stage, Task
from jobs.waiting import Waiting, with_threads


def task(label: str, *after: str, needs_all: bool = True) -> Task:
    stage = Stage("factors", "trial", {}, [], after, needs_all=needs_all)
    return Task(label, "factors", 1, {}, {}, [], stage=stage, key=label)


def test_a_task_is_taken_once_its_own_have_ended() -> None:
    waiting = Waiting()
    for one in (task("c", "a", "b"), task("a"), task("b", "a"), task("end", "b", needs_all=False)):
        waiting.append(one)
    taken = []
    while waiting:
        assert waiting.ready() == 1 + (taken == ["a", "b"])
        found = waiting.take(lambda identity: True)
        assert found is not None
        taken.append(found.label)
        waiting.note(found.label, "done")
    assert taken == ["a", "b", "c", "end"]


def test_what_waits_for_a_stopped_task_is_stopped_and_for_a_failed_one_fails() -> None:
    waiting = Waiting()
    for one in (task("b", "a", "x"), task("c", "b"), task("end", "a", needs_all=False)):
        waiting.append(one)
    waiting.note("x", "cancelled")
    [(lost, outcome)] = waiting.lost()
    assert (lost.label, outcome.state) == ("b", "cancelled")
    waiting.note("b", "failed", "blocks.0.q: its weight holds NaN")
    [(lost, outcome)] = waiting.lost()
    why = "needs b, which failed: blocks.0.q: its weight holds NaN"
    assert (lost.label, outcome.message) == ("c", why)
    waiting.append(task("d", "c"))
    waiting.note("c", "failed", why)
    [(lost, outcome)] = waiting.lost()
    assert (lost.label, outcome.message) == ("d", why)
    waiting.note("a", "failed")
    assert waiting.lost() == []
    assert [one.label for one in waiting] == ["end"]
    assert waiting.ready() == 1


def test_stages_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert [with_threads(task("a"), number).threads for number in (1, 2, 3, 20)] == [8, 4, 2, 1]
    assert with_threads(Task("a", "spectrum", 1, {}, {}, []), 1).threads == 1
