"""Rows of an analysis as an Arrow table, with arrays split off as `.npy` bytes."""

import dataclasses
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from store.artifacts import FOLDER

ARRAY = pa.struct(
    [
        ("path", pa.string()),
        ("shape", pa.list_(pa.int64())),
        ("dtype", pa.string()),
        ("sha256", pa.string()),
    ]
)
TYPES = {
    "float": pa.float64(),
    "int": pa.int64(),
    "bool": pa.bool_(),
    "str": pa.string(),
    "floats": pa.list_(pa.float64()),
    "array": ARRAY,
}


def table(
    rows: Iterable[Any], columns: Sequence[Mapping[str, Any]]
) -> tuple[pa.Table, dict[str, bytes]]:
    """Return the rows typed as declared, and the bytes of their arrays by hash.

    Raises ValueError or TypeError for a value that does not fit its declaration.
    """
    arrays: dict[str, bytes] = {}
    names = {column["name"]: column["type"] for column in columns}
    listed = [
        {name: _plain(getattr(row, name), kind, arrays) for name, kind in names.items()}
        for row in rows
    ]
    fields = pa.schema([(name, TYPES[kind]) for name, kind in names.items()])
    return pa.Table.from_pylist(listed, schema=fields), arrays


def spectra(found: Iterable[Any]) -> pa.Table:
    """Return spectra as the store keeps them: key, rows, cols, noise_floor, effective_dtype, s."""
    listed = [
        {
            **{k: v for k, v in dataclasses.asdict(spectrum).items() if k != "values"},
            "s": np.asarray(spectrum.values, dtype=np.float64),
        }
        for spectrum in found
    ]
    fields = [("key", pa.string()), ("rows", pa.int64()), ("cols", pa.int64())]
    fields += [("noise_floor", pa.float64()), ("effective_dtype", pa.string())]
    return pa.Table.from_pylist(listed, schema=pa.schema([*fields, ("s", TYPES["floats"])]))


def _plain(value: Any, kind: str, arrays: dict[str, bytes]) -> Any:
    if kind != "array" or value is None:
        return value
    array = np.asarray(value)
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    sha256 = hashlib.sha256(buffer.getvalue()).hexdigest()
    arrays[sha256] = buffer.getvalue()
    return {
        "path": f"{FOLDER}/{sha256[:2]}/{sha256}.npy",
        "shape": list(array.shape),
        "dtype": str(array.dtype),
        "sha256": sha256,
    }
