"""Small declarations, models and results that the store's tests are made of."""

import math

import pyarrow as pa

SPECTRUM = {
    "name": "spectrum",
    "columns": [
        {"name": "rows", "type": "int"},
        {"name": "cols", "type": "int"},
        {"name": "stable_rank", "type": "float"},
        {"name": "alpha", "type": "float", "optional": True},
        {"name": "alpha_reason", "type": "str"},
        {"name": "tail", "type": "floats"},
        {"name": "vectors", "type": "array"},
    ],
}
WELORE = {
    "name": "welore",
    "columns": [
        {"name": "layer", "type": "str", "index": True},
        {"name": "low_rank", "type": "bool"},
        {"name": "rank", "type": "int"},
    ],
}
KEY = "matrix"  # what every layer is linked to unless a test says otherwise
LAYERS = ("embed", "blocks.0.q", "blocks.0.v")


def model(name="tiny", **changes):
    return {
        "name": name,
        "path": f"/models/{name}",
        "origin": f"/models/{name}",
        "kind": "transformers",
        "architecture": "LlamaForCausalLM",
        "parameters": 1000,
        "blocks": 2,
        "dtype": "float16",
        "bytes": 2000,
        "flops": None,
        "steps": "[]",
        "notes": "",
        "base": None,
        **changes,
    }


def tensors(names=LAYERS, shape=(8, 4), **changes):
    return pa.Table.from_pylist(
        [
            {
                "name": f"{name}.weight",
                "file": "model.safetensors",
                "dtype": "float16",
                "shape": list(shape),
                "parameters": math.prod(shape),
                "bytes": 2 * math.prod(shape),
                "layer": name,
                "block": None,
                "module": name.rpartition(".")[2],
                "state": "matrix",
                "reason": "",
                **changes,
            }
            for name in names
        ]
    )


def labels(names=LAYERS, tensor=None, shape=(8, 4), **changes):
    return pa.Table.from_pylist(
        [
            {
                "layer": name,
                "tensor": tensor or f"{name}.weight",
                "block": 0 if name.startswith("blocks.0") else None,
                "module": name.rpartition(".")[2],
                "view": "whole",
                "kind": "linear",
                "rows": shape[0],
                "cols": shape[1],
                "dtype": "float16",
                **changes,
            }
            for name in names
        ]
    )


def job(id, model="tiny", analysis="spectrum"):
    return {
        "id": id,
        "model": model,
        "analysis": analysis,
        "params": {"seed": 0},
        "layers": "*",
        "device": "auto",
        "total": 3,
    }


def unit(key, state="done", analysis="spectrum", message="", inputs=(KEY,)):
    return {
        "key": key,
        "analysis": analysis,
        "version": 1,
        "params": {"seed": 0},
        "inputs": list(inputs),
        "state": state,
        "message": message,
        "seconds": 0.25,
        "device": "cpu",
        "versions": {"torch": "2.13.0"},
    }


def rows(stable_rank=2.5):
    return pa.table(
        {
            "rows": [8],
            "cols": [4],
            "stable_rank": [stable_rank],
            "alpha": pa.array([None], pa.float64()),
            "alpha_reason": ["too few values"],
            "tail": [[1.0, 0.5]],
        }
    )


def spectra(values):
    """Return the table of {key: singular values}."""
    return pa.table(
        {
            "key": list(values),
            "rows": [len(s) for s in values.values()],
            "cols": [len(s) for s in values.values()],
            "noise_floor": [1e-4] * len(values),
            "effective_dtype": ["float16"] * len(values),
            "s": pa.array([list(s) for s in values.values()], pa.list_(pa.float64())),
        }
    )


def keep(store, values):
    """Store these spectra {key: singular values}."""
    store.finish_unit(unit(f"unit of {'+'.join(values)}"), None, spectra(values), None)


def run_job(store, id, found, model="tiny", analysis="spectrum", matrix=KEY):
    """Run a job whose layers end as found: {layer: (unit key, state, stable rank or message)}."""
    store.create_job(job(id, model, analysis))
    for layer, (key, state, outcome) in found.items():
        table = rows(outcome) if state == "done" else None
        message = outcome if isinstance(outcome, str) else ""
        store.finish_unit(unit(key, state, analysis, message, [matrix]), table, None, None)
        store.link_matrix(model, layer, matrix)
        store.link_unit(id, layer, key, state)


def classify(store, job, ranks, matrix=KEY):
    """Store a classification of these layers as the only unit of a job."""
    table = pa.table(
        {"layer": list(ranks), "low_rank": [True] * len(ranks), "rank": list(ranks.values())}
    )
    inputs = [[layer, "linear", "float16", matrix] for layer in ranks]
    found = unit(f"unit of {job}", analysis="welore", inputs=inputs)
    store.finish_unit(found, table, None, None)
    store.link_unit(job, "all", f"unit of {job}", "done")
