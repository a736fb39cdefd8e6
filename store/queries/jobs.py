"""Jobs, their progress and their log."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from store import arrow
from store.connection import Cursor
from store.errors import StoreError
from store.queries import live
from store.states import ACTIVE, ENDED, STATES


def create_job(cursor: Cursor, at: float, job: Mapping[str, Any]) -> None:
    """Add a job in state QUEUED; one that is there already stays as it is."""
    start = {"state": "QUEUED", "message": "", "done": 0, "failed": 0, "skipped": 0}
    [(number,)] = cursor.execute("select coalesce(max(number), 0) + 1 from job").fetchall()
    arrow.add_new(
        cursor, "job", arrow.row({"total": 0, **start, **job, "number": number, "created": at})
    )


def set_job(cursor: Cursor, at: float, job: str, state: str, message: str = "") -> None:
    """Set a job's state: RUNNING stamps its start, the end states its end."""
    if state not in STATES:
        raise ValueError(f"expected a state of {', '.join(STATES)}, got {state!r}")
    require_job(cursor, job)
    cursor.execute(
        """update job set
            started = case when $state = 'RUNNING' and state <> 'RUNNING' then $at else started end,
            finished = case when list_contains($ended, $state) then $at end,
            state = $state, message = $message
        where id = $job""",
        {"state": state, "at": at, "ended": list(ENDED), "message": message, "job": job},
    )


def set_progress(
    cursor: Cursor, job: str, done: int, failed: int, skipped: int, total: int
) -> None:
    """Set the counts of a job's units; `skipped` had been stored before."""
    cursor.execute(
        "update job set done = ?, failed = ?, skipped = ?, total = ? where id = ?",
        [done, failed, skipped, total, job],
    )


def interrupt_running(cursor: Cursor, at: float) -> list[str]:
    """Mark what no process works on any more, at start-up; return the ids of those jobs."""
    kept = live.stop_all(cursor)
    found = cursor.execute(
        "select id from job where list_contains(?, state) order by number", [list(ACTIVE)]
    ).fetchall()
    interrupted = [job for (job,) in found]
    for job in interrupted:
        set_job(cursor, at, job, "INTERRUPTED", "the program ended before the job did: resume it")
        cursor.execute(
            """update job_unit set state = 'waiting',
                message = case when list_contains(?::varchar[], unit) then ? else '' end
            where job = ? and state = 'running'""",
            [kept, live.KEPT, job],
        )
    return interrupted


def jobs(cursor: Cursor, limit: int | None = None) -> pa.Table:
    """Return all jobs, or the newest, the last created first."""
    return arrow.select(cursor, "select * from job order by number desc limit $limit", limit=limit)


def job(cursor: Cursor, id: str) -> pa.Table:
    """Return one job's row, or none."""
    return arrow.select(cursor, "select * from job where id = $id", id=id)


def require_job(cursor: Cursor, job: str) -> str:
    """Return the analysis of a job. Raises StoreError when there is no such job."""
    found = cursor.execute("select analysis from job where id = ?", [job]).fetchall()
    if not found:
        raise StoreError(f"no job has the id {job!r}: list them with `status`")
    return str(found[0][0])


def log(
    cursor: Cursor, at: float, job: str | None, unit: str | None, level: str, text: str
) -> None:
    """Add a line to the log."""
    readable = text.encode("utf-8", "backslashreplace").decode()
    cursor.execute(
        "insert into log select coalesce(max(number), 0) + 1, ?, ?, ?, ?, ? from log",
        [job, at, unit, level, readable],
    )


def log_lines(cursor: Cursor, job: str, after: int = 0) -> pa.Table:
    """Return a job's log lines with a number above `after`, in the order of writing."""
    return arrow.select(
        cursor,
        """select number, "at", unit, level, text from log
        where job = $job and number > $after order by number""",
        job=job,
        after=after,
    )
