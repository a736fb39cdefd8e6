"""What a unit says while it runs, when the store does not answer, and when nothing is new."""

from typing import Any

import pytest

from jobs.errors import Unreachable
from jobs.live import Live
from tests.jobs import made_up
from tests.jobs.made_up import Memory, Row
from tests.jobs.waiting import until


def numbers(memory: Memory) -> list[tuple[int, float]]:
    return [(row["row"], row["top"]) for _, rows in memory.said for row in rows]


def test_only_what_is_new_is_written_and_rows_keep_their_numbers() -> None:
    memory = Memory()
    live = Live(made_up.task(key="u"), memory, streams=True)
    found = live.streamed(Row(float(i)) for i in range(3))
    with live:
        live(1, 3, "first")
        next(found)
        until(lambda: len(memory.said) == 1, 5)
        next(found), next(found)
        live(3, 3)
        until(lambda: len(memory.said) == 2, 5)
        live._write()
    assert [said for said, _ in memory.said] == [
        {"done": 1, "total": 3, "words": "first"}, {"done": 3, "total": 3, "words": ""},
    ]  # fmt: skip
    assert numbers(memory) == [(0, 0.0), (1, 1.0), (2, 2.0)]


def test_what_a_restarting_store_missed_is_said_again() -> None:
    class Restarting(Memory):
        refused = 0

        def add(self, *given: Any) -> None:
            if self.refused < 2:
                self.refused += 1
                raise Unreachable("the store restarts: try again in a few seconds")
            super().add(*given)

    memory = Restarting()
    live = Live(made_up.task(key="u"), memory, streams=True)
    with live:
        list(live.streamed([Row(1.0), Row(2.0)]))
        until(lambda: memory.said, 10)
    assert memory.refused == 2
    assert numbers(memory) == [(0, 1.0), (1, 2.0)]


@pytest.mark.parametrize(
    ("stopped", "written"), [(KeyboardInterrupt, [(0, 1.0)]), (ZeroDivisionError, [])]
)
def test_only_what_is_interrupted_writes_its_last_rows(
    stopped: type[BaseException], written: list[tuple[int, float]]
) -> None:
    memory = Memory()

    def stop() -> None:
        with (live := Live(made_up.task(key="u"), memory, streams=True)):
            list(live.streamed([Row(1.0)]))
            raise stopped

    with pytest.raises(stopped):
        stop()
    assert numbers(memory) == written


def test_without_a_stream_only_words_are_said() -> None:
    memory = Memory()
    live = Live(made_up.task(key="u"), memory)
    assert list(live.streamed([Row(1.0)])) == [Row(1.0)]
    live(1, 2, "half")
    live._write()
    assert memory.said == [({"done": 1, "total": 2, "words": "half"}, [])]
