"""A model's header as tables: what it is, its tensors, and the labels of its matrices."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from jobs.tasks import Labelled

LABELS = pa.schema(
    [
        ("layer", pa.string()),
        ("tensor", pa.string()),
        ("block", pa.int64()),
        ("module", pa.string()),
        ("view", pa.string()),
        ("kind", pa.string()),
        ("rows", pa.int64()),
        ("cols", pa.int64()),
        ("dtype", pa.string()),
    ]
)
TENSORS = pa.schema(
    [
        ("name", pa.string()),
        ("file", pa.string()),
        ("dtype", pa.string()),
        ("shape", pa.list_(pa.int64())),
        ("parameters", pa.int64()),
        ("bytes", pa.int64()),
        ("layer", pa.string()),
        ("block", pa.int64()),
        ("module", pa.string()),
        ("state", pa.string()),
        ("reason", pa.string()),
    ]
)
MODEL = (
    *("name", "path", "origin", "kind", "architecture"),
    *("parameters", "blocks", "dtype", "bytes", "flops"),
)


def tensors(source: Any) -> pa.Table:
    """Return every tensor of a model."""
    rows = [{name: getattr(info, name) for name in TENSORS.names} for info in source.tensors()]
    return pa.Table.from_pylist(rows, schema=TENSORS)


def labels(refs: Iterable[Any]) -> pa.Table:
    """Return the labels of matrices."""
    rows = [detail(ref) for ref in refs]
    return pa.Table.from_pylist(rows, schema=LABELS)


def detail(ref: Any) -> Labelled:
    """Return a matrix's label with its shape and stored dtype."""
    rows, cols = ref.shape
    return {**dataclasses.asdict(ref.label), "rows": rows, "cols": cols, "dtype": ref.dtype}
