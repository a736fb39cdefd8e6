"""Arrow in, Arrow out: the two ways in which every query of this package touches the database."""

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import pyarrow as pa

from store.connection import Cursor
from store.errors import StoreError


def select(cursor: Cursor, query: str, **params: Any) -> pa.Table:
    """Return the answer to `query`, whose `$name`s are given by `params`."""
    return cursor.sql(query, params=params).to_arrow_table()


def append(cursor: Cursor, table: str, batch: pa.Table, otherwise: str = "") -> None:
    """Add rows. Columns not given are null; raises StoreError for a column the table lacks."""
    _check_columns(cursor, table, batch)
    if batch.num_rows == 0:
        return
    names = ", ".join(quoted(name) for name in batch.column_names)
    cursor.register("batch", batch)
    cursor.execute(f"insert into {quoted(table)} ({names}) select {names} from batch {otherwise}")
    cursor.unregister("batch")


def add_new(cursor: Cursor, table: str, batch: pa.Table) -> None:
    """Add the rows whose primary key is new."""
    append(cursor, table, batch, "on conflict do nothing")


def add_or_update(cursor: Cursor, table: str, batch: pa.Table, key: Sequence[str]) -> None:
    """Add the rows whose primary key is new, and rewrite the given columns of the others."""
    changed = [quoted(name) for name in batch.column_names if name not in key]
    assignments = ", ".join(f"{name} = excluded.{name}" for name in changed)
    keys = ", ".join(quoted(name) for name in key)
    append(cursor, table, batch, f"on conflict ({keys}) do update set {assignments}")


def row(values: Mapping[str, Any]) -> pa.Table:
    """Return a table of one row; dictionaries and lists become JSON text."""
    return pa.Table.from_pylist([{name: _plain(value) for name, value in values.items()}])


def with_text(batch: pa.Table) -> pa.Table:
    """Turn columns that hold an artifact's description into JSON text."""
    for i, field in enumerate(batch.schema):
        if pa.types.is_struct(field.type):
            text = [None if v is None else json.dumps(v) for v in batch.column(i).to_pylist()]
            batch = batch.set_column(i, field.name, pa.array(text, pa.string()))
    return batch


def columns(cursor: Cursor, table: str) -> dict[str, str]:
    """Return the type of each column in the order of the table; empty when there is no table."""
    # Much quicker than information_schema, and it is asked at every write; but on a table that is
    # not there it fails, and DuckDB 2 then gives up the transaction.
    known = "select 1 from duckdb_tables() where lower(table_name) = lower(?)"
    if not cursor.execute(known, [table]).fetchall():
        return {}
    found = "select name, type from pragma_table_info(?) order by cid"
    return dict(cursor.execute(found, [quoted(table)]).fetchall())


def quoted(name: str) -> str:
    """Return the name as an SQL identifier, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def _check_columns(cursor: Cursor, table: str, batch: pa.Table) -> None:
    known = columns(cursor, table)
    unknown = [name for name in batch.column_names if name not in known]
    if unknown:
        raise StoreError(
            f"table {table!r} has no column {', '.join(map(repr, unknown))}: "
            f"expected of {', '.join(known) or 'nothing, for it is not declared'}"
        )


def _plain(value: Any) -> Any:
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    return str(value) if isinstance(value, PurePath) else value
