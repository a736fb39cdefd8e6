"""Units of work: stored once under a key of their content, serving any number of jobs."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from store import arrow, schema
from store.connection import Cursor
from store.queries import live

LINK_STATES = ("waiting", "running", "cancelled", "skipped", "done", "failed", "zero")
UNIT_STATES = ("done", "failed", "zero")
KEYS = "select unnest($keys::varchar[])"


def add_job_units(cursor: Cursor, job: str, units: pa.Table) -> None:
    """Add what a job is to do (label, unit or null, position); known labels stay as they are."""
    rows = units.num_rows
    batch = units.append_column("job", pa.array([job] * rows, pa.string()))
    batch = batch.append_column("state", pa.array(["waiting"] * rows, pa.string()))
    arrow.add_new(cursor, "job_unit", batch)


def link_unit(
    cursor: Cursor, job: str, label: str, unit: str | None, state: str, message: str = ""
) -> None:
    """Set where a job stands with one label; `unit` None keeps the key it had.

    `message` is for what leaves no unit behind, such as a worker that died.
    """
    _expect(state, LINK_STATES)
    cursor.execute(
        """insert into job_unit (job, label, unit, position, state, message)
        select $job, $label, $unit, coalesce(max(position) + 1, 0), $state, $message
        from job_unit where job = $job
        on conflict (job, label) do update set
            unit = coalesce(excluded.unit, unit), state = excluded.state,
            message = excluded.message""",
        {"job": job, "label": label, "unit": unit, "state": state, "message": message},
    )


def count_attempt(cursor: Cursor, unit: str) -> int:
    """Count one more start of a unit; return how many there were, for a worker may die of it."""
    cursor.execute("insert into attempt values (?, 0) on conflict do nothing", [unit])
    cursor.execute('update attempt set "count" = "count" + 1 where unit = ?', [unit])
    [(count,)] = cursor.execute('select "count" from attempt where unit = ?', [unit]).fetchall()
    return int(count)


def finish_unit(
    cursor: Cursor,
    at: float,
    unit: Mapping[str, Any],
    rows: pa.Table | None = None,
    spectra: pa.Table | None = None,
    artifacts: pa.Table | None = None,
) -> None:
    """Store a unit with its rows, spectra and artifacts, or nothing if its key is stored.

    A failed unit is the exception: what comes later under its key replaces it. The analysis must
    be declared when there are rows. `spectra` has key, rows, cols, noise_floor, effective_dtype
    and s; `artifacts` has sha256, path and bytes. What the unit gave while it ran is replaced.
    """
    _expect(unit["state"], UNIT_STATES)
    key, table = unit["key"], schema.result_table(unit["analysis"])
    stored = cursor.execute("select state from unit where key = ?", [key]).fetchall()
    if stored and stored[0][0] != "failed":
        return
    if stored:
        live.forget(cursor, key, unit["analysis"])
    live.end_live(cursor, key, unit["analysis"])
    arrow.append(cursor, "unit", arrow.row({**unit, "finished": at}))
    if rows is not None:
        arrow.append(cursor, table, _numbered(arrow.with_text(rows), key))
    if spectra is not None:
        arrow.append(cursor, "spectrum", _new_spectra(cursor, spectra))
    live.add_artifacts(cursor, key, artifacts)


def units(cursor: Cursor, job: str) -> pa.Table:
    """Return where a job stands with each of its labels, in the order of the plan."""
    return arrow.select(
        cursor,
        """select j.position, j.label, j.unit, j.state,
            coalesce(nullif(j.message, ''), u.message, '') as message,
            u.seconds, u.device, u.finished
        from job_unit j left join unit u on u.key = j.unit
        where j.job = $job order by j.position, j.label""",
        job=job,
    )


def known_units(cursor: Cursor, keys: Sequence[str]) -> pa.Table:
    """Return key and state of those units that are stored."""
    return arrow.select(
        cursor, f"select key, state from unit where key in ({KEYS})", keys=list(keys)
    )


def records(cursor: Cursor, keys: Sequence[str]) -> pa.Table:
    """Return what stored units were made of and with: key, analysis, inputs, versions, device.

    `inputs` and `versions` are JSON text; `finished` and `seconds` say when and for how long.
    """
    return arrow.select(
        cursor,
        f"""select key, analysis, inputs, versions, device, finished, seconds
        from unit where key in ({KEYS}) order by key""",
        keys=list(keys),
    )


def attempts(cursor: Cursor, keys: Sequence[str]) -> pa.Table:
    """Return how often each of these units was started (unit, count), where it ever was."""
    return arrow.select(
        cursor, f"select * from attempt where unit in ({KEYS}) order by unit", keys=list(keys)
    )


def artifacts(cursor: Cursor, keys: Sequence[str]) -> pa.Table:
    """Return the files that these units made (sha256, path, bytes, unit)."""
    return arrow.select(
        cursor, f"select * from artifact where unit in ({KEYS}) order by path", keys=list(keys)
    )


def _expect(state: str, states: Sequence[str]) -> None:
    if state not in states:
        raise ValueError(f"expected a state of {', '.join(states)}, got {state!r}")


def _numbered(batch: pa.Table, key: str) -> pa.Table:
    numbers = pa.array(range(batch.num_rows), pa.int64())
    return live.of_unit(batch, key).append_column("row", numbers)


def _new_spectra(cursor: Cursor, batch: pa.Table) -> pa.Table:
    """Return the spectra whose key is neither stored nor earlier in the batch."""
    named = batch.rename_columns(
        ["matrix_key" if name == "key" else name for name in batch.column_names]
    )
    keys = named.column("matrix_key").to_pylist()
    stored = f"select matrix_key as key from spectrum where matrix_key in ({KEYS})"
    known = set(arrow.select(cursor, stored, keys=keys).column("key").to_pylist())
    return named.filter([key not in known and key not in keys[:i] for i, key in enumerate(keys)])
