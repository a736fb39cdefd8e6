"""Registered models, their tensors and the labels of their matrices."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from store import arrow
from store.connection import Cursor
from store.errors import StoreError
from store.states import ACTIVE

# The labels of $model, with the place of each one's tensor in the files, or else among the labels.
PLACED = """(
    select l.*, coalesce(t.position,
        1000000000 + min(l.position) over (partition by l.tensor)) as tensor_position
    from label l left join (
        select name, min(position) as position from tensor where model = $model group by name
    ) t on t.name = l.tensor
    where l.model = $model)"""


def add_model(cursor: Cursor, at: float, model: Mapping[str, Any], tensors: pa.Table) -> None:
    """Register a model, or update the one of the same name, path and base.

    Labels go when the files no longer hold their tensor as a matrix of the same shape, and lose
    their matrix key when its type changed. Raises StoreError when the name belongs to another path.
    """
    name, path = model["name"], str(model["path"])
    known = cursor.execute("select path, base from model where name = ?", [name]).fetchall()
    if known and known[0] != (path, model.get("base")):
        raise StoreError(
            f"the name {name!r} belongs to {_against(*known[0])}: give "
            f"{_against(path, model.get('base'))} another name, "
            f"or remove that model first with `models remove {name}`"
        )
    added = {} if known else {"added": at}
    arrow.add_or_update(cursor, "model", arrow.row({**model, **added}), key=["name"])
    former = _shapes(cursor, name)
    cursor.execute("delete from tensor where model = ?", [name])
    arrow.append(cursor, "tensor", _numbered(tensors, name))
    _drop_outdated(cursor, name, former)


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
    """Add the labels of a model's matrices; known ones keep their place and their matrix key.

    Where the shape or type is another than the known one, the file was replaced: then no label of
    that tensor keeps its key, and after another shape those that are not given go.
    """
    _unlink_changed(cursor, model, labels.to_pylist())
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
        f"""select * exclude (model, position, tensor_position) from {PLACED}
        order by tensor_position, position""",
        model=model,
    )


def link_matrix(cursor: Cursor, model: str, layer: str, matrix_key: str) -> None:
    """Say which matrix a label means now; two labels may share one."""
    cursor.execute(
        "update label set matrix_key = ? where model = ? and layer = ?", [matrix_key, model, layer]
    )


def _against(path: str, base: str | None) -> str:
    return f"{path} against {base}" if base else path


def _require_model(cursor: Cursor, name: str) -> None:
    if not cursor.execute("select 1 from model where name = ?", [name]).fetchall():
        raise StoreError(f"no model is named {name!r}: list them with `models list`")


def _shapes(cursor: Cursor, model: str) -> dict[str, list[int]]:
    found = cursor.execute(
        "select name, shape from tensor where model = ? and state is distinct from 'skipped'",
        [model],
    )
    return dict(found.fetchall())


def _drop_outdated(cursor: Cursor, model: str, former: Mapping[str, list[int]]) -> None:
    """Drop or unlink the labels that the model's new tensors contradict; `former` are the old."""
    shapes = _shapes(cursor, model)
    known = cursor.execute(
        'select layer, tensor, "view", "rows", cols from label where model = ?', [model]
    ).fetchall()
    _drop(
        cursor,
        model,
        [
            layer
            for layer, tensor, view, *sides in known
            if tensor not in shapes
            or not _still_fits(view, sides, former.get(tensor), shapes[tensor])
        ],
    )
    cursor.execute(
        """update label set dtype = t.dtype, matrix_key = null from tensor t
        where label.model = $model and t.model = $model and t.name = label.tensor
            and t.dtype is distinct from label.dtype""",
        {"model": model},
    )


def _still_fits(view: str, sides: list[int], former: list[int] | None, shape: list[int]) -> bool:
    """Say whether a label is of this shape: a job may have read the new file already."""
    if former is None or former == shape:
        return True
    return view == "whole" and sorted(sides) == sorted(shape) != sorted(former)


def _unlink_changed(cursor: Cursor, model: str, given: list[dict[str, Any]]) -> None:
    found = arrow.select(cursor, "select * from label where model = $model", model=model)
    known = {row["layer"]: row for row in found.to_pylist()}
    pairs = [(known[row["layer"]], row) for row in given if row["layer"] in known]
    reshaped = {
        tensor
        for old, new in pairs
        if any(old[name] != new[name] for name in ("tensor", "rows", "cols"))
        for tensor in (old["tensor"], new["tensor"])
    }
    retyped = {new["tensor"]: new["dtype"] for old, new in pairs if old["dtype"] != new["dtype"]}
    kept = {row["layer"] for row in given}
    gone = [name for name, row in known.items() if row["tensor"] in reshaped and name not in kept]
    _drop(cursor, model, gone)
    cursor.execute(
        """update label set matrix_key = null
        where model = ? and list_contains(?::varchar[], tensor)""",
        [model, [*reshaped, *retyped]],
    )
    others = {row["tensor"] for name, row in known.items() if name not in kept}
    for tensor, dtype in retyped.items():
        if tensor not in others:
            continue
        cursor.execute(
            "update label set dtype = ? where model = ? and tensor = ?", [dtype, model, tensor]
        )


def _drop(cursor: Cursor, model: str, layers: list[str]) -> None:
    cursor.execute(
        "delete from label where model = ? and list_contains(?::varchar[], layer)", [model, layers]
    )


def _names(labels: pa.Table) -> list[str]:
    return labels.column("layer").to_pylist() if labels.num_rows else []


def _numbered(tensors: pa.Table, model: str) -> pa.Table:
    rows = tensors.num_rows
    batch = tensors.append_column("position", pa.array(range(rows), pa.int64()))
    return batch.append_column("model", pa.array([model] * rows, pa.string()))
