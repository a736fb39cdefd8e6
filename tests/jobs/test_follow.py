"""The progress bar on a terminal."""

import io
from typing import Any

from jobs.commands.follow import Bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


JOB = {
    "analysis": "hessian_rank", "state": "RUNNING", "done": 0, "failed": 0, "skipped": 0,
    "total": 1, "started": 0.0,
}  # fmt: skip


def drawn(*units: dict[str, Any] | None, job: dict[str, Any] = JOB) -> str:
    """Return the last line that the bar shows."""
    terminal = Terminal()
    bar = Bar(terminal)
    for unit in units:
        bar.draw(job, unit)
    return terminal.getvalue().rpartition("\r\x1b[K")[2]


def unit(done: int, at: float, words: str = "probe 3") -> dict[str, Any]:
    return {"label": "model", "done": done, "total": 40, "words": words, "at": at}


def test_a_lone_unit_shows_its_share_words_and_the_time_left() -> None:
    assert drawn(unit(10, 100.0)) == f"hessian_rank [{7 * '#'}{23 * '.'}] 25% probe 3"
    # 10 parts in 5 s since it was first seen, whatever it had done before: 20 parts in 10 s.
    later = drawn(unit(10, 100.0), unit(20, 105.0, "probe 4"))
    assert later == f"hessian_rank [{15 * '#'}{15 * '.'}] 50% probe 4, about 10 s left"


def test_without_parts_or_units_the_job_is_counted() -> None:
    nothing = {**unit(0, 1.0), "total": 0}
    assert drawn(nothing) == drawn(None) == f"hessian_rank [{30 * '.'}] 0/1 running"
    assert "2/4 running, 1 failed" in drawn(None, job={**JOB, "done": 1, "failed": 1, "total": 4})


def test_words_never_wrap_or_steer_the_terminal() -> None:
    line = drawn(unit(10, 100.0, "x" * 500 + "\x1b[2J"))
    assert len(line) < 110
    assert "\x1b" not in drawn(unit(10, 100.0, "\x1b[2J"))


def test_nothing_is_drawn_elsewhere() -> None:
    stream = io.StringIO()
    Bar(stream).draw(JOB, unit(1, 1.0))
    assert stream.getvalue() == ""
