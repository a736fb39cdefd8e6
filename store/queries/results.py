"""What the analyses found: by job, by model, and any table whole."""

from pathlib import Path

import pyarrow as pa

from store import arrow
from store.connection import Cursor
from store.errors import StoreError
from store.queries.jobs import require_job
from store.queries.models import PLACED
from store.schema import result_table

KEY = ("unit", "row")

# One row per layer. `tried` is every finished unit of the model that measured the layer as it is
# now, and not the bytes of a file since replaced; `shown` is the newest that did not fail, or else
# the newest failure. `classified` is what the newest classification worked on.
PROFILE = f"""
with placed as (
    select * from {PLACED}
), tried as (
    select ju.label as layer, ju.unit, j.number, j.id as job,
        coalesce(u.state, ju.state) as state,
        coalesce(nullif(u.message, ''), ju.message, '') as message
    from job_unit ju join job j on j.id = ju.job join placed l on l.layer = ju.label
        left join unit u on u.key = ju.unit
    where j.model = $model and coalesce(u.analysis, j.analysis) = 'spectrum'
        and coalesce(u.state, ju.state) in ('done', 'zero', 'failed')
        and (u.key is null or u.inputs ->> '$[0]' = l.matrix_key)
), newest as (
    select * from tried
    qualify row_number() over (partition by layer order by number desc) = 1
), shown as (
    select * from tried
    qualify row_number() over (partition by layer order by state = 'failed', number desc) = 1
), classified as (
    select key as unit, input ->> '$[0]' as layer, input ->> '$[3]' as matrix_key from (
        select u.key, unnest(json_extract(u.inputs, '$[*]')) as input
        from unit u where u.key = (
            select u.key from job_unit ju join job j on j.id = ju.job join unit u on u.key = ju.unit
            where j.model = $model and u.analysis = 'welore' and u.state = 'done'
            order by j.number desc limit 1))
)
select s.layer, l.tensor, l.block, l.module, l."view", l.kind,
    l."rows", l.cols, l.dtype, l.matrix_key, s.state as status,
    case when n.state = 'failed' and s.state <> 'failed'
        then 'failed in job ' || n.job || ' (shown: job ' || s.job || '): ' || n.message
        else s.message end as message,
    s.job{{columns}}
from shown s join newest n on n.layer = s.layer join placed l on l.layer = s.layer
{{joins}}
order by l.tensor_position, l.position, s.layer
"""
PROFILED = "layer tensor block module view kind rows cols dtype matrix_key status message job"
WELORE = """
left join classified c on c.layer = s.layer and c.matrix_key = l.matrix_key
left join result_welore w on w.layer = c.layer and w.unit = c.unit"""


def results(cursor: Cursor, job: str) -> pa.Table:
    """Return a job's rows: label, status, message, then every column of its analysis.

    A label that failed, was all zero or is not finished has one row of nulls. What a job only made
    or found for its own use, such as the spectra of a classification, shows when it failed.
    Raises StoreError when there is no such job.
    """
    table = result_table(require_job(cursor, job))
    found = [name for name in arrow.columns(cursor, table) if name not in KEY]
    columns = "".join(f", r.{arrow.quoted(name)}" for name in found)
    rows = f"left join {table} r on r.unit = ju.unit" if found else ""
    return arrow.select(
        cursor,
        f"""select ju.label, coalesce(u.state, ju.state) as status,
            coalesce(nullif(u.message, ''), ju.message, '') as message{columns}
        from job_unit ju join job j on j.id = ju.job left join unit u on u.key = ju.unit {rows}
        where ju.job = $job
            and (u.analysis = j.analysis or u.state = 'failed'
                or (u.analysis is null and ju.state = 'failed')
                or (u.analysis is null and ju.state <> 'done'
                    and coalesce(ju.analysis, j.analysis) = j.analysis))
        order by ju.position, ju.label{", r.row" if found else ""}""",
        job=job,
    )


def profile(cursor: Cursor, model: str) -> pa.Table:
    """Return one row per measured layer, newest results first to count.

    Columns: the label, matrix_key, status, message, job, every column of `result_spectrum` that is
    no list, and those of the newest classification as `welore_*`. A failed re-run leaves the
    earlier numbers and says so in `message`; numbers of another matrix than the label's are left
    out, for the file was replaced.
    """
    spectrum = _flat(cursor, "result_spectrum", without=PROFILED.split())
    welore = _flat(cursor, "result_welore", without=["layer"])
    columns = [f"r.{arrow.quoted(name)}" for name in spectrum]
    columns += [f"w.{arrow.quoted(name)} as {arrow.quoted('welore_' + name)}" for name in welore]
    joins = ""
    if spectrum:
        joins += "left join result_spectrum r on r.unit = s.unit and r.row = 0 "
    if welore:
        joins += WELORE
    listed = "".join(f", {column}" for column in columns)
    return arrow.select(cursor, PROFILE.format(columns=listed, joins=joins), model=model)


def tables(cursor: Cursor) -> list[str]:
    """Return the names of all tables."""
    found = cursor.execute(
        "select table_name from information_schema.tables where table_schema = 'main' order by 1"
    ).fetchall()
    return [name for (name,) in found]


def table(cursor: Cursor, name: str) -> pa.Table:
    """Return a whole table. Raises StoreError when there is none of that name."""
    if name not in tables(cursor):
        raise StoreError(f"no table is named {name!r}: there are {', '.join(tables(cursor))}")
    return arrow.select(cursor, f"select * from {arrow.quoted(name)}")


def counts(cursor: Cursor) -> pa.Table:
    """Return one row: bytes of the file with its log, and the numbers of units and spectra."""
    [(path,)] = cursor.execute(
        "select path from duckdb_databases() where database_name = current_database()"
    ).fetchall()
    files = [Path(path), Path(f"{path}.wal")]
    return arrow.select(
        cursor,
        """select $bytes::bigint as bytes, (select count(*) from unit) as units,
            (select count(*) from spectrum) as spectra""",
        bytes=sum(file.stat().st_size for file in files if file.exists()),
    )


def _flat(cursor: Cursor, table: str, without: list[str]) -> list[str]:
    """Return the columns that hold one value each, but for the key and those named."""
    found = arrow.columns(cursor, table).items()
    return [name for name, kind in found if not kind.endswith("]") and name not in (*KEY, *without)]
