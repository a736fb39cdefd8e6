"""The units of jobs whose stages build on each other's files: their names, and what is kept."""

from collections.abc import Sequence

import pyarrow as pa

from store import arrow
from store.connection import Cursor
from store.states import ACTIVE

BEGINNING = 16  # letters of a unit's key that name its folder


def active_units(cursor: Cursor, without: str = "") -> list[str]:
    """Return the keys of the units that jobs in hand have begun or found, but for one job's."""
    found = cursor.execute(
        """select distinct ju.unit from job_unit ju join job j on j.id = ju.job
        where list_contains(?, j.state) and j.id <> ? and ju.unit is not null""",
        [list(ACTIVE), without],
    ).fetchall()
    return [key for (key,) in found]


def named_units(cursor: Cursor, beginnings: Sequence[str]) -> pa.Table:
    """Return units by the first letters of their keys: unit, label, model, job, layers, params.

    As the newest job has them; those of no job are left out.
    """
    return arrow.select(
        cursor,
        f"""select ju.unit, ju.label, j.model, j.id as job, j.layers, j.params
        from job_unit ju join job j on j.id = ju.job
        where substr(ju.unit, 1, {BEGINNING}) in (
            select substr(unnest($beginnings::varchar[]), 1, {BEGINNING}))
        qualify row_number() over (
            partition by ju.unit order by j.analysis = 'export', j.number desc, ju.position) = 1
        order by ju.unit""",
        beginnings=list(beginnings),
    )


def stage_times(cursor: Cursor, model: str) -> pa.Table:
    """Return how long the stages took that jobs on a model computed, the newest job's first.

    Columns: job, its params (JSON text) and its time from start to end (took), then analysis, label
    and seconds of each stage that ended well.
    """
    return arrow.select(
        cursor,
        """select j.id as job, j.params, j.finished - j.started as took, u.analysis, ju.label,
            u.seconds
        from job j join job_unit ju on ju.job = j.id join unit u on u.key = ju.unit
        where j.model = $model and j.analysis in ('trial', 'activations') and u.state = 'done'
            and u.finished between j.started and j.finished
        order by j.number desc, ju.position""",
        model=model,
    )


def exports(cursor: Cursor, trial: str, form: str) -> pa.Table:
    """Return the units (unit, job) that made one form of a trial's model, the newest first."""
    return arrow.select(
        cursor,
        """select u.key as unit, j.id as job
        from job j join job_unit ju on ju.job = j.id join unit u on u.key = ju.unit
        where j.analysis = 'export' and u.analysis = 'export' and u.state = 'done'
            and j.params ->> '$.trial' = $trial and j.params ->> '$.form' = $form
        order by j.number desc""",
        trial=trial,
        form=form,
    )


def weighed_trials(cursor: Cursor, job: str) -> pa.Table:
    """Return the trials of a job (key, bytes, delta, kept) that are done.

    `kept` says that another job asked for the weights of all its trials, of which this is one.
    """
    if not arrow.columns(cursor, "result_trial"):
        return pa.table({name: pa.nulls(0) for name in ("key", "bytes", "delta", "kept")})
    return arrow.select(
        cursor,
        """select distinct u.key, r.bytes, r.delta, exists (
            select 1 from job_unit o join job k on k.id = o.job
            where o.unit = u.key and k.id <> $job and k.params ->> '$.weights' = 'all') as kept
        from job_unit ju join unit u on u.key = ju.unit join result_trial r on r.unit = u.key
        where ju.job = $job and u.analysis = 'trial' and u.state = 'done'
        order by u.key""",
        job=job,
    )


def drop_artifacts(cursor: Cursor, beginnings: Sequence[str]) -> None:
    """List the files of units no more, by the first letters of their keys: they were deleted."""
    cursor.execute(
        f"""delete from artifact where substr(unit, 1, {BEGINNING}) in (
            select substr(unnest($beginnings::varchar[]), 1, {BEGINNING}))
            and (path like 'trials/%' or path like 'exports/%')""",
        {"beginnings": list(beginnings)},
    )
