"""Registered models, their tensors and the labels of their matrices."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from store import arrow
from store.connection import Cursor
from store.errors import StoreError

ACTIVE = ("QUEUED", "RUNNING")


def add_model(cursor: Cursor, at: float, model: Mapping[str, Any], tensors: pa.Table) -> None:
    """Register a model, or update the one of the same name and path.

    Raises StoreError when the name belongs to another path.
    """
    name, path = model["name"], str(model["path"])
    known = cursor.execute("select path from model where name = ?", [name]).fetchall()
    if known and known[0][0] != path:
        raise StoreError(
            f"the name {name!r} belongs to {known[0][0]}: give {path} another name, "
            "or remove that model first"
        )
    added = {} if known else {"added": at}
    arrow.add_or_update(cursor, "model", arrow.row({**model, **added}), key=["name"])
    cursor.execute("delete from tensor where model = ?", [name])
    arrow.append(cursor, "tensor", _numbered(tensors, name))


def remove_model(cursor: Cursor, name: str) -> None:
    """Forget a model; its jobs stay, under `<name> (removed)`, and so do results by content.

    Raises StoreError when there is none, and while a job of it is active.
    """
    _require_model(cursor, name)
    active = cursor.execute(
        "select id from job where model = ? and list_contains(?, state)", [name, list(ACTIVE)]
    ).fetchall()
    if active:
        raise StoreError(f"job {active[0][0]} of {name!r} is active: cancel it before the removal")
    for table in ("label", "tensor"):
        cursor.execute(f"delete from {table} where model = ?", [name])
    cursor.execute("delete from model where name = ?", [name])
    # A later model of this name must not inherit the jobs.
    cursor.execute("update job set model = model || ' (removed)' where model = ?", [name])


def models(cursor: Cursor) -> pa.Table:
    """Return every registered model, the first added first."""
    return arrow.select(cursor, "select * from model order by added, name")


def model(cursor: Cursor, name: str) -> pa.Table:
    """Return one model's row, or none."""
    return arrow.select(cursor, "select * from model where name = $name", name=name)


def tensors(cursor: Cursor, model: str) -> pa.Table:
    """Return every tensor of a model in the order of its files, skipped ones with the reason."""
    return arrow.select(
        cursor,
        "select * exclude (model, position) from tensor where model = $model order by position",
        model=model,
    )


def add_labels(cursor: Cursor, model: str, labels: pa.Table) -> None:
    """Add the labels of a model's matrices; known ones keep their place and their matrix key."""
    [(start,)] = cursor.execute(
        "select coalesce(max(position) + 1, 0) from label where model = ?", [model]
    ).fetchall()
    known = cursor.execute("select layer, position from label where model = ?", [model]).fetchall()
    places = dict(known)
    position = [places.get(layer, start + i) for i, layer in enumerate(_names(labels))]
    batch = labels.append_column("position", pa.array(position, pa.int64()))
    batch = batch.append_column("model", pa.array([model] * labels.num_rows, pa.string()))
    arrow.add_or_update(cursor, "label", batch, key=["model", "layer"])


def labels(cursor: Cursor, model: str) -> pa.Table:
    """Return the labels of a model's matrices, views of one tensor side by side."""
    return arrow.select(
        cursor,
        """select * exclude (model, position) from label where model = $model
        order by min(position) over (partition by tensor), position""",
        model=model,
    )


def link_matrix(cursor: Cursor, model: str, layer: str, matrix_key: str) -> None:
    """Say which matrix a label means now; two labels may share one."""
    cursor.execute(
        "update label set matrix_key = ? where model = ? and layer = ?", [matrix_key, model, layer]
    )


def _require_model(cursor: Cursor, name: str) -> None:
    if not cursor.execute("select 1 from model where name = ?", [name]).fetchall():
        raise StoreError(f"no model is named {name!r}: list them with `models list`")


def _names(labels: pa.Table) -> list[str]:
    return labels.column("layer").to_pylist() if labels.num_rows else []


def _numbered(tensors: pa.Table, model: str) -> pa.Table:
    rows = tensors.num_rows
    batch = tensors.append_column("position", pa.array(range(rows), pa.int64()))
    return batch.append_column("model", pa.array([model] * rows, pa.string()))
