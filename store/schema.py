"""The tables: the fixed ones, and one `result_<analysis>` for each analysis that is declared.

Times are seconds since 1970 (UTC). Params, inputs, versions and steps are JSON text.

Tables with a list in a row have no primary key, for with one DuckDB (1.5 and 2.0) reads all earlier
lists at each commit: 25 ms after 300 spectra, where 2 ms is the rest of the work. Their keys are
unique because the one writer looks before it adds.
"""

from collections.abc import Mapping
from typing import Any

from store import arrow
from store.connection import Cursor
from store.errors import StoreError

# As first made: a later change is a migration, so that old files get it too.
FIRST_TABLES = (
    """create table model (
        name varchar primary key, path varchar, origin varchar, kind varchar,
        architecture varchar, parameters bigint, blocks bigint, dtype varchar, bytes bigint,
        flops varchar, steps varchar, notes varchar, added double)""",
    """create table tensor (
        model varchar, position bigint, name varchar, file varchar, dtype varchar,
        shape bigint[], parameters bigint, bytes bigint, layer varchar, block bigint,
        module varchar, state varchar, reason varchar)""",
    """create table label (
        model varchar, layer varchar, tensor varchar, block bigint, module varchar,
        "view" varchar, kind varchar, "rows" bigint, cols bigint, dtype varchar,
        matrix_key varchar, position bigint, primary key (model, layer))""",
    """create table job (
        number bigint, id varchar primary key, model varchar, analysis varchar, params varchar,
        layers varchar, device varchar, state varchar, message varchar, total bigint, done bigint,
        failed bigint, skipped bigint, created double, started double, finished double)""",
    """create table job_unit (
        job varchar, label varchar, unit varchar, position bigint, state varchar,
        message varchar, primary key (job, label))""",
    """create table unit (
        key varchar primary key, analysis varchar, version bigint, params varchar, inputs varchar,
        state varchar, message varchar, seconds double, device varchar, versions varchar,
        finished double)""",
    """create table spectrum (
        matrix_key varchar, "rows" bigint, cols bigint, noise_floor double,
        effective_dtype varchar, s double[])""",
    """create table artifact (
        sha256 varchar primary key, path varchar, bytes bigint, unit varchar)""",
    """create table fingerprint (
        path varchar, tensor varchar, size bigint, mtime_ns bigint, sha256 varchar,
        primary key (path, tensor))""",
    "create table attempt (unit varchar primary key, count bigint)",
    """create table log (
        number bigint primary key, job varchar, "at" double, unit varchar, level varchar,
        text varchar)""",
)

TYPES = {
    "float": "DOUBLE",
    "int": "BIGINT",
    "bool": "BOOLEAN",
    "str": "VARCHAR",
    "floats": "DOUBLE[]",
    "array": "VARCHAR",  # JSON text of path, shape, dtype and sha256; the numbers are an artifact
}
TAKEN = ("unit", "row", "label", "status", "message")


def result_table(analysis: str) -> str:
    """Return the name of the analysis' table. Raises StoreError when it cannot be one."""
    return f"result_{_checked(analysis, 'analysis')}"


def declare(cursor: Cursor, analysis: Mapping[str, Any]) -> None:
    """Make the table of a declared analysis, or add the columns it lacks.

    A column that is declared no more keeps its data. Raises StoreError for a name that is no
    identifier or is taken, and for a column that changes its type.
    """
    table = result_table(analysis["name"])
    wanted = _wanted(analysis)
    present = arrow.columns(cursor, table)
    if not present:
        cursor.execute(_create(table, wanted))
    same = {name.lower(): kind for name, kind in present.items()}
    for name, kind in wanted.items() if present else ():
        if name.lower() not in same:
            cursor.execute(f"alter table {table} add column {arrow.quoted(name)} {kind}")
        elif same[name.lower()] != kind:
            raise StoreError(
                f"column {name!r} of {table} holds {same[name.lower()]} and is now declared "
                f"{kind}: give it another name, or convert it in store/migrations.py"
            )


def _create(table: str, wanted: Mapping[str, str]) -> str:
    columns = "".join(f", {arrow.quoted(name)} {kind}" for name, kind in wanted.items())
    return f"create table {table} (unit varchar, row bigint{columns})"


def _wanted(analysis: Mapping[str, Any]) -> dict[str, str]:
    wanted: dict[str, str] = {}
    for column in analysis["columns"]:
        name = _checked(column["name"], f"column of {analysis['name']}")
        if name.lower() in (*TAKEN, *(seen.lower() for seen in wanted)):
            raise StoreError(
                f"column {name!r} of {analysis['name']} is taken: give it another name"
            )
        if column["type"] not in TYPES:
            raise StoreError(
                f"column {name!r} of {analysis['name']}: expected a type of {', '.join(TYPES)}, "
                f"got {column['type']!r}"
            )
        wanted[name] = TYPES[column["type"]]
    return wanted


def _checked(name: str, what: str) -> str:
    if not (isinstance(name, str) and name.isidentifier() and name.isascii()):
        raise StoreError(f"{what}: expected a name of letters, digits and _, got {name!r}")
    return name
