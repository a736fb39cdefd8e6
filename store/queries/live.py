"""Units that are seen while they run: how far they are, and the rows they have given so far.

A unit is live from `begin_live` to `finish_unit` or `stop_live`, and has one row in `progress` for
as long. What comes before or after, such as a late call of a worker that was replaced, is ignored.
"""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from store import arrow, schema
from store.connection import Cursor

KEPT = "what it has given so far is kept: resume goes on from there"


def begin_live(cursor: Cursor, at: float, job: str, label: str, unit: Mapping[str, Any]) -> None:
    """Make a running label's unit (key, analysis, kept) live; rows of an earlier attempt go.

    With `kept` the rows stay when the unit is stopped. Nothing happens when the unit is stored
    already, or when the label no longer runs.
    """
    key = unit["key"]
    running = "select 1 from job_unit where job = ? and label = ? and state = 'running'"
    if not cursor.execute(running, [job, label]).fetchall() or _is_finished(cursor, key):
        return
    forget(cursor, key, unit["analysis"])
    cursor.execute("update job_unit set unit = ? where job = ? and label = ?", [key, job, label])
    started = {"done": 0, "total": 0, "words": "", "at": at}
    named = {"unit": key, "analysis": unit["analysis"], "kept": unit["kept"]}
    arrow.add_or_update(cursor, "progress", arrow.row({**named, **started}), key=["unit"])


def add_live(
    cursor: Cursor,
    at: float,
    unit: str,
    said: Mapping[str, Any],
    rows: pa.Table | None = None,
    artifacts: pa.Table | None = None,
) -> None:
    """Say how far a live unit is (done, total, words), and add rows, numbered in column `row`.

    Rows from the first of these numbers on are replaced, so a repeated call changes nothing.
    """
    found = cursor.execute("select analysis from progress where unit = ?", [unit]).fetchall()
    if not found:
        return
    cursor.execute(
        'update progress set done = ?, total = ?, words = ?, "at" = ? where unit = ?',
        [said["done"], said["total"], said["words"], at, unit],
    )
    if rows is not None and rows.num_rows:
        table = schema.result_table(found[0][0])
        first = min(rows.column("row").to_pylist())
        cursor.execute(f'delete from {table} where unit = ? and "row" >= ?', [unit, first])
        arrow.append(cursor, table, of_unit(arrow.with_text(rows), unit))
    add_artifacts(cursor, unit, artifacts)


def stop_live(cursor: Cursor, job: str, label: str) -> int:
    """End a label's unit before it is finished; return how many of its rows stay."""
    found = cursor.execute(
        """select ju.unit, coalesce(p.analysis, ju.analysis, j.analysis), p.kept
        from job_unit ju join job j on j.id = ju.job
            left join progress p on p.unit = ju.unit and ju.state = 'running'
        where ju.job = ? and ju.label = ? and ju.unit is not null""",
        [job, label],
    ).fetchall()
    if not found or _is_finished(cursor, found[0][0]):
        return 0
    unit, analysis, kept = found[0]
    if kept is not None:
        _end(cursor, unit, analysis, kept=kept)
    return _count(cursor, unit, analysis)


def stop_all(cursor: Cursor) -> list[str]:
    """End every live unit, at start-up; return those whose rows stay."""
    live = cursor.execute("select unit, analysis, kept from progress").fetchall()
    for unit, analysis, kept in live:
        _end(cursor, unit, analysis, kept=kept)
    return [unit for unit, analysis, kept in live if kept and _count(cursor, unit, analysis)]


def progress(cursor: Cursor, job: str) -> pa.Table:
    """Return how far the running units of a job are: label, done, total, words, at."""
    return arrow.select(
        cursor,
        """select ju.label, p.done, p.total, p.words, p."at"
        from job_unit ju join progress p on p.unit = ju.unit
        where ju.job = $job and ju.state = 'running' order by ju.position, ju.label""",
        job=job,
    )


def end_live(cursor: Cursor, unit: str, analysis: str) -> None:
    """End a unit that is finished: what it gave while it ran gives way to the whole."""
    live = cursor.execute("select 1 from progress where unit = ?", [unit]).fetchall()
    if live:
        _end(cursor, unit, analysis, kept=False)


def forget(cursor: Cursor, unit: str, analysis: str) -> None:
    """Drop a unit and its rows."""
    cursor.execute("delete from unit where key = ?", [unit])
    _drop_rows(cursor, unit, analysis)


def add_artifacts(cursor: Cursor, unit: str, files: pa.Table | None) -> None:
    """List files (path, sha256, bytes) that a unit made; a file made anew is listed as it is."""
    if files is not None:
        arrow.add_or_update(cursor, "artifact", of_unit(files, unit), key=["unit", "path"])


def of_unit(batch: pa.Table, key: str) -> pa.Table:
    """Return the rows with the unit they belong to."""
    if "unit" in batch.column_names:
        batch = batch.drop_columns(["unit"])
    return batch.append_column("unit", pa.array([key] * batch.num_rows, pa.string()))


def _is_finished(cursor: Cursor, unit: str) -> bool:
    stored = "select 1 from unit where key = ? and state <> 'failed'"
    return bool(cursor.execute(stored, [unit]).fetchall())


def _end(cursor: Cursor, unit: str, analysis: str, *, kept: bool) -> None:
    cursor.execute("delete from progress where unit = ?", [unit])
    if not kept:
        _drop_rows(cursor, unit, analysis)


def _drop_rows(cursor: Cursor, unit: str, analysis: str) -> None:
    table = schema.result_table(analysis)
    if arrow.columns(cursor, table):
        cursor.execute(f"delete from {table} where unit = ?", [unit])


def _count(cursor: Cursor, unit: str, analysis: str) -> int:
    table = schema.result_table(analysis)
    if not arrow.columns(cursor, table):
        return 0
    [(count,)] = cursor.execute(f"select count(*) from {table} where unit = ?", [unit]).fetchall()
    return int(count)
