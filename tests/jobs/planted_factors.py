"""Curves of compression methods, planted as a calibration leaves them."""

import numpy as np
import pyarrow as pa

LISTS = ("plain", "whitened", "heldout", "expected", "first_order")
DECLARED = {
    "name": "factors",
    "columns": [
        {"name": "layer", "type": "str"},
        {"name": "rows", "type": "int"},
        {"name": "cols", "type": "int"},
        {"name": "method", "type": "str"},
        {"name": "tokens", "type": "int"},
        *({"name": name, "type": "floats"} for name in LISTS),
        {"name": "sample", "type": "str"},
        {"name": "levels", "type": "floats"},
        {"name": "directions", "type": "array"},
    ],
}
SCHEMA = pa.schema([
    ("layer", pa.string()), ("rows", pa.int64()), ("cols", pa.int64()), ("method", pa.string()),
    ("tokens", pa.int64()), *((name, pa.list_(pa.float64())) for name in LISTS),
    ("sample", pa.string()), ("levels", pa.list_(pa.float64())), ("directions", pa.string()),
])  # fmt: skip


def tail(values):
    """‖W - W_k‖² at every rank of these singular values."""
    return np.append(np.cumsum(np.square(values)[::-1])[::-1], 0.0)


def row(layer, shape, plain, *, method, scale=1.0, slope=0.0, without=(), cell=""):  # noqa: PLR0913
    """The curves of one layer: each column falls in its own way, to 0.

    `cell` names its directions, which are kept at every rank.
    """
    index = np.arange(len(plain))
    curves = {
        "plain": np.asarray(plain, float),
        "whitened": scale * (1 / (1 + index) ** 1.5 - 1 / len(plain) ** 1.5),
        "heldout": scale * (1 / (1 + index) - 1 / len(plain)),
        "expected": 0.1 * scale * (1 / (1 + index) ** 2 - 1 / len(plain) ** 2),
        "first_order": slope * (np.cos(index) - np.cos(len(plain) - 1)),
    }
    lists = {name: [] if name in without else list(map(float, c)) for name, c in curves.items()}
    return {
        "layer": layer, "rows": shape[0], "cols": shape[1], "method": method, "tokens": 4096,
        **lists, "sample": "tokens" if cell else "",
        "levels": list(map(float, index)) if cell else [], "directions": cell or None,
    }  # fmt: skip


def add(store, model, rows, *, inputs="[]"):
    """Store these rows as the only unit of a calibration of a model."""
    store.declare(DECLARED)
    method = rows[0]["method"] if rows else "none"
    number = len(store.jobs().to_pylist())
    job, key = f"calibration-{number}", f"factors-{model}-{method}-{number}"
    store.create_job({
        "id": job, "model": model, "analysis": "activations", "params": "{}", "layers": "*",
        "device": "auto", "total": 1,
    })  # fmt: skip
    unit = {
        "key": key, "analysis": "factors", "version": 1, "params": "{}", "inputs": inputs,
        "state": "done", "message": "", "seconds": 0.1, "device": "cpu", "versions": "{}",
    }  # fmt: skip
    store.finish_unit(unit, pa.Table.from_pylist(rows, schema=SCHEMA), None, None)
    store.link_unit(job, f"{method} of all", key, "done")
    store.set_job(job, "DONE")
    return job
