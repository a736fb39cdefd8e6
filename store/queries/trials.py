"""What compression jobs left of a model: the curves of its layers, and its trials."""

from collections.abc import Mapping

import pyarrow as pa

from store import arrow
from store.connection import Cursor
from store.queries.models import PLACED
from store.queries.results import KEY

FACTORS, TRIAL = "result_factors", "result_trial"
LOSSES = ("plain", "whitened", "heldout", "expected", "first_order")  # by rank
CURVES = {
    "job": pa.string(),
    "unit": pa.string(),
    "finished": pa.float64(),
    "label": pa.string(),
    "inputs": pa.string(),
    "matrix_key": pa.string(),
    "layer": pa.string(),
    "rows": pa.int64(),
    "cols": pa.int64(),
    "method": pa.string(),
    "tokens": pa.int64(),
    **dict.fromkeys(LOSSES, pa.list_(pa.float64())),
    "sample": pa.string(),
    "levels": pa.list_(pa.float64()),
    "directions": pa.string(),
}
ADDED = {"sample": "varchar", "levels": "double[]", "directions": "varchar"}  # after a release
OF_UNIT = ("job", "number", "label", "unit", "state", "message", "finished", "seconds")
# The place of the newest finished row of each method on each layer that the model still has in this
# shape, without a list: those are read for what is shown.
NEWEST = f"""
select f.unit, f."row", ju.label, j.id as job, j.number, u.finished, u.inputs, l.matrix_key,
    l.tensor_position, l.position
from {FACTORS} f join unit u on u.key = f.unit join job_unit ju on ju.unit = f.unit
    join job j on j.id = ju.job
    join {PLACED} l on l.layer = f.layer and l."rows" = f."rows" and l.cols = f.cols
where j.model = $model and u.analysis = 'factors' and u.state = 'done'
    and ($method is null or f.method = $method)
qualify row_number() over (
    partition by f.layer, f.method order by j.number desc, u.finished desc, f.unit) = 1"""


def factor_curves(cursor: Cursor, model: str, method: str | None = None) -> pa.Table:
    """Return what each layer loses at every rank of each method, or of one, the newest job's.

    One row per (method, layer): job, unit, finished, the unit's label and inputs (JSON text), the
    layer's matrix_key as it is now, then the row of `result_factors`: layer, rows, cols, method,
    tokens, the lists of LOSSES, and sample, levels and directions, null in rows of old. Layers
    that the model no longer has in this shape are left out; whether other bytes of the same shape
    have taken a layer's place, `inputs` and `plain[0]` = ‖W‖² can tell.
    """
    present = arrow.columns(cursor, FACTORS)
    if not present:
        return pa.schema(CURVES.items()).empty_table()
    picked = ", ".join(_column(name, present) for name in list(CURVES)[6:])
    return arrow.select(
        cursor,
        f"""with newest as ({NEWEST})
        select n.job, n.unit, n.finished, n.label, n.inputs, n.matrix_key, {picked}
        from newest n join {FACTORS} r on r.unit = n.unit and r."row" = n."row"
        order by n.tensor_position, n.position, r.layer, r.method""",
        model=model,
        method=method,
    )


def factor_units(cursor: Cursor, model: str) -> pa.Table:
    """Return the units that a model's curves come from (unit, number of its newest job): a mark.

    The answer changes whenever that of `factor_curves` does, and reads no curve.
    """
    return arrow.select(
        cursor,
        """select ju.unit, max(j.number) as number
        from job_unit ju join job j on j.id = ju.job join unit u on u.key = ju.unit
        where j.model = $model and u.analysis = 'factors' and u.state = 'done'
        group by ju.unit order by ju.unit""",
        model=model,
    )


def factor_methods(cursor: Cursor, model: str) -> pa.Table:
    """Return which curves `factor_curves` has, without their numbers.

    One row per (method, layer): method, layer, unit, job, number, finished, tokens, and whether
    there is a plain, a whitened and an expected curve.
    """
    if not arrow.columns(cursor, FACTORS):
        return _methods().empty_table()
    return arrow.select(
        cursor,
        f"""with newest as ({NEWEST})
        select r.method, r.layer, n.unit, n.job, n.number, n.finished, r.tokens,
            coalesce(len(r.plain), 0) > 0 as plain, coalesce(len(r.whitened), 0) > 0 as whitened,
            coalesce(len(r.expected), 0) > 0 as expected
        from newest n join {FACTORS} r on r.unit = n.unit and r."row" = n."row"
        order by n.number desc, r.method, n.tensor_position, n.position, r.layer""",
        model=model,
        method=None,
    )


def trials(cursor: Cursor, model: str) -> pa.Table:
    """Return every trial of a model's jobs that ended, each once, the newest job's first.

    Columns: job and number (of the first job that has it, an export only where there is no other:
    a trial keeps its name), place (among the trials that the job was asked for, from 1), label,
    unit, state (done or failed), message, finished, seconds, then every column of `result_trial`,
    null where it failed. Those of one job are in the order of their places.
    """
    found = [name for name in arrow.columns(cursor, TRIAL) if name not in (*KEY, *OF_UNIT)]
    columns = "".join(f", r.{arrow.quoted(name)}" for name in found)
    rows = f'left join {TRIAL} r on r.unit = t.unit and r."row" = 0' if found else ""
    return arrow.select(
        cursor,
        f"""with linked as (
            select j.id as job, j.number, ju.label, ju.unit, u.state,
                coalesce(nullif(u.message, ''), ju.message, '') as message, u.finished, u.seconds,
                (select count(*) from job_unit o left join unit v on v.key = o.unit
                where o.job = j.id and o.position <= ju.position
                    and coalesce(v.analysis, o.analysis, j.analysis) = 'trial') as place
            from job_unit ju join job j on j.id = ju.job join unit u on u.key = ju.unit
            where j.model = $model and u.analysis = 'trial'
            qualify row_number() over (
                partition by ju.unit
                order by j.analysis = 'export', j.number, ju.position, ju.label) = 1
        )
        select t.job, t.number, t.place, t.label, t.unit, t.state, t.message, t.finished,
            t.seconds{columns}
        from linked t {rows}
        order by t.number desc, t.place, t.label""",
        model=model,
    )


def _column(name: str, present: Mapping[str, str]) -> str:
    """Return what selects a column of the factors, null where no job declared it yet."""
    if name in present:
        return f"r.{arrow.quoted(name)}"
    return f"null::{ADDED[name]} as {arrow.quoted(name)}"


def _methods() -> pa.Schema:
    kept = {name: CURVES.get(name, pa.bool_()) for name in ("method", "layer", "unit", "job")}
    more = {"number": pa.int64(), "finished": pa.float64(), "tokens": pa.int64()}
    flags = dict.fromkeys(("plain", "whitened", "expected"), pa.bool_())
    return pa.schema([*kept.items(), *more.items(), *flags.items()])
