"""A client without Ray: a real store in a folder of its own, with planted spectra in it."""

import dataclasses
import hashlib
import json
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from jobs.errors import JobError
from jobs.layers import matches
from store.store import Store

MODULES = {"q": (64, 64), "k": (32, 64), "v": (32, 64), "down": (64, 160)}
SPECTRUM = {
    "name": "spectrum",
    "title": "Weight spectra",
    "view": "spectrum",
    "unit": "matrix",
    "version": 1,
    "summary": "Yield every rank of one matrix.",
    "doc": "Ranks of weights.",
    "params": [
        {"name": "seed", "type": "int", "optional": False, "default": 0, "min": 0, "help": "seed"},
        {"name": "heads", "type": "bool", "optional": False, "default": False, "selects": True},
    ],
    "columns": [
        {
            "name": "effective_rank_sigma",
            "type": "float",
            "kind": "rank",
            "title": "Effective rank",
        },
        {"name": "effective_rank_sigma_vs_noise", "type": "float", "kind": "count"},
        {"name": "stable_rank", "type": "float", "kind": "rank", "title": "Stable rank"},
        {"name": "k95", "type": "int", "kind": "rank", "help": "ranks that carry 95 %"},
        {"name": "norm", "type": "float", "kind": "norm", "help": "sum of the eigenvalues"},
        {"name": "alpha", "type": "float", "kind": "exponent", "title": "Power-law alpha"},
        {"name": "alpha_xmin", "type": "float", "kind": "note"},
        {"name": "alpha_points", "type": "int", "kind": "note"},
        {"name": "mp_edge", "type": "float", "kind": "note"},
        {"name": "mp_spikes", "type": "int", "kind": "count"},
        {"name": "gavish_donoho_rank", "type": "int", "kind": "rank"},
        {"name": "noise_floor", "type": "float", "kind": "note"},
        {"name": "break_even_rank", "type": "float", "kind": "rank"},
    ],
}
MADE_UP = {
    "name": "made_up",
    "title": "A made-up analysis",
    "view": "nothing",
    "unit": "matrix",
    "version": 1,
    "summary": "Yield half of the rows.",
    "doc": "",
    "params": [
        {"name": "share", "type": "float", "optional": False, "default": 0.5, "min": 0.0,
         "max": 1.0, "help": "how much to take"},
        {"name": "word", "type": "str", "optional": True, "default": None, "help": "any word"},
    ],
    "columns": [{"name": "half", "type": "float", "optional": False, "default": None}],
}  # fmt: skip


class Proxy:
    """The store's read methods with pandas answers, as the real client gives them."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        def read(*args, **kwargs):
            answer = getattr(self._store, name)(*args, **kwargs)
            return answer.to_pandas() if isinstance(answer, pa.Table) else answer

        return read


@dataclasses.dataclass
class FakeClient:
    """What pages call, over a store of planted results."""

    own: Store
    analyses: dict = dataclasses.field(
        default_factory=lambda: {"spectrum": SPECTRUM, "made_up": MADE_UP}
    )
    broken: dict = dataclasses.field(default_factory=dict)
    methods: dict = dataclasses.field(default_factory=dict)
    files: dict = dataclasses.field(default_factory=dict)  # of exports, by (trial, form)
    held: list = dataclasses.field(default_factory=list)  # rows of `disk`
    can_run: bool = True
    calls: list = dataclasses.field(default_factory=list)
    home: Path | None = None

    @property
    def store(self):
        return Proxy(self.own)

    def job(self, job):
        found = self.store.job(job)
        if found.empty:
            raise JobError(f"unknown job {job!r}")
        return dict(found.iloc[0])

    def catalog(self):
        return {"analyses": self.analyses, "broken": self.broken, "methods": self.methods}

    def cluster(self):
        return {"mode": "local", "cores": 2, "gpus": 0, "running": 0, "store_bytes": 214_000}

    def inspect(self, path, restrict_to_roots=True, base=None):
        raise JobError(f"{path} does not exist: check the path")

    def predict(self, model, analysis, params, layers="*", restrict_to_roots=False):
        assert restrict_to_roots
        matrices = self.store.tensors(model).query("state == 'matrix'")
        named = [name for name in matrices["layer"] if matches(name, layers)]
        refused = "" if named else f"no layer is named {layers}"
        words = f"{len(named)} of {len(matrices)} matrices"
        return {"words": words, "bytes": 0, "seconds": None, "refused": refused}

    def array(self, cell):
        return np.load(self.home / json.loads(cell)["path"])

    def checkpoints(self, job):
        return None

    def export(self, trial, form="factored"):
        self.calls.append(("export", trial, form))
        asked = {"trial": trial, "form": form}
        return add_job(self.own, "tiny", "export", state="QUEUED", params=asked, labels=["export"])

    def exported(self, trial, form):
        return self.files.get((trial, form))

    def disk(self):
        columns = ["what", "key", "label", "bytes", "used", "trial"]
        return pd.DataFrame([{"trial": "", **row} for row in self.held], columns=columns)

    def free_disk(self, keys=None):
        self.calls.append(("free_disk", keys))
        working = [row["key"] for row in self.held if row["what"] == "working files"]
        gone = [row for row in self.held if row["key"] in (working if keys is None else keys)]
        self.held = [row for row in self.held if row not in gone]
        return sum(row["bytes"] for row in gone)

    def submit(self, model, analysis, params, layers="*", device="auto", restrict_to_roots=False):
        # The server's own start asks for the sample; a page must not read any file there is.
        assert restrict_to_roots or model == "sample"
        self.calls.append(("submit", model, analysis, params, layers, device))
        return add_job(self.own, model, analysis, state="QUEUED", params=params, labels=["a"])

    def cancel(self, job):
        self.calls.append(("cancel", job))

    def resume(self, job):
        self.calls.append(("resume", job))
        return job


def with_models(folder, *names, blocks=2):
    """Return a client whose store holds planted profiles under these names."""
    store = Store(folder)
    store.declare(SPECTRUM)
    for offset, name in enumerate(names):
        add_profile(store, name, blocks=blocks, seed=offset)
    return FakeClient(store, home=Path(folder))


def add_profile(store, name, *, blocks=2, seed=0):
    """Plant a model: blocks of q, k, v and down, an embedding, a failed and an all-zero layer."""
    layers = [
        (f"blocks.{block}.{module}", module, block, shape)
        for block in range(blocks)
        for module, shape in MODULES.items()
    ]
    layers.append(("embed", "embed", None, (128, 64)))
    store.add_model(model_row(name, len(layers)), tensor_table(layers))
    store.add_labels(name, label_table(layers))
    job = add_job(store, name, "spectrum", labels=[layer for layer, *_ in layers])
    for position, (layer, *_rest, shape) in enumerate(layers):
        state = {"blocks.1.k": "failed", "blocks.1.down": "zero"}.get(layer, "done")
        add_unit(store, job, (name, layer), shape, state=state, seed=100 * seed + position)
    store.set_job(job, "DONE")
    store.set_progress(job, len(layers) - 1, 1, 0, len(layers))


def model_row(name, count):
    return {
        "name": name, "path": f"/models/{name}", "origin": f"/models/{name}",
        "kind": "transformers", "architecture": "LlamaForCausalLM", "parameters": 4_900_000,
        "blocks": 2, "dtype": "float16", "bytes": 9_800_000, "flops": None, "steps": "[]",
        "notes": "",
    }  # fmt: skip


def tensor_table(layers):
    rows = [
        {"name": f"model.{layer}.weight", "file": "model.safetensors", "dtype": "float16",
         "shape": list(shape), "parameters": shape[0] * shape[1], "bytes": 2 * shape[0] * shape[1],
         "layer": layer, "block": block, "module": module, "state": "matrix", "reason": ""}
        for layer, module, block, shape in layers
    ]  # fmt: skip
    norm = rows[0] | {
        "name": "model.norm.weight", "shape": [64], "parameters": 64, "layer": "norm",
        "block": None, "module": "norm", "state": "skipped",
        "reason": "one-dimensional (a norm or a bias)",
    }  # fmt: skip
    return pa.Table.from_pylist([*rows, norm])


def label_table(layers):
    return pa.Table.from_pylist([
        {"layer": layer, "tensor": f"model.{layer}.weight", "block": block, "module": module,
         "view": "whole", "kind": "embedding" if block is None else "linear",
         "rows": shape[0], "cols": shape[1], "dtype": "float16"}
        for layer, module, block, shape in layers
    ])  # fmt: skip


def add_job(store, model, analysis, *, labels, state="DONE", params=None):
    """Add a job with waiting units; return its id."""
    job = f"{analysis}-{uuid.uuid4().hex[:6]}"
    store.create_job({
        "id": job, "model": model, "analysis": analysis, "params": json.dumps(params or {}),
        "layers": "*", "device": "auto", "total": len(labels),
    })  # fmt: skip
    units = [{"label": name, "unit": None, "position": i} for i, name in enumerate(labels)]
    schema = pa.schema([("label", pa.string()), ("unit", pa.string()), ("position", pa.int64())])
    store.add_job_units(job, pa.Table.from_pylist(units, schema=schema))
    if state != "QUEUED":
        store.set_job(job, "RUNNING")
    store.log(job, None, "info", "started")
    return job


def add_unit(store, job, name, shape, *, state, seed):
    """Store one finished unit of a planted spectrum, with its shuffled and noise baselines."""
    model, layer = name
    key = hashlib.sha256(f"{model}{layer}".encode()).hexdigest()
    message = {"failed": f"{layer} holds NaN at row 3", "zero": f"{layer} is all zero"}.get(state)
    unit = {
        "key": f"unit-{key}", "analysis": "spectrum", "version": 1, "params": "{}",
        "inputs": json.dumps([key]), "state": state, "message": message or "", "seconds": 0.2,
        "device": "cpu", "versions": "{}",
    }  # fmt: skip
    values = planted(shape, seed)
    rows = pa.Table.from_pylist([measures(values, shape)]) if state == "done" else None
    spectra = pa.Table.from_pylist([
        {"matrix_key": name, "rows": shape[0], "cols": shape[1], "noise_floor": 1e-4,
         "effective_dtype": "float16", "s": s.tolist()}
        for name, s in (
            (key, values if state == "done" else 0 * values),
            (f"shuffled-{key}-seed0", noise(shape, seed) * np.sqrt((values**2).mean())),
            (f"noise-{shape[0]}x{shape[1]}-seed0", noise(shape, 0)),
        )
    ])  # fmt: skip
    store.finish_unit(unit, rows, spectra, None)
    store.link_unit(job, layer, unit["key"], state)
    store.link_matrix(model, layer, key)


def planted(shape, seed):
    """Return descending singular values with a power-law tail, another for each seed."""
    index = np.arange(1, min(shape) + 1)
    return 3.0 * index ** (-0.4 - 0.05 * (seed % 5))


def noise(shape, seed):
    matrix = np.random.default_rng(seed).standard_normal(shape) / np.sqrt(max(shape))
    return np.linalg.svd(matrix, compute_uv=False)


def measures(s, shape):
    """Return the columns of SPECTRUM for planted values."""
    p, energy = s / s.sum(), s**2
    effective = float(np.exp(-(p * np.log(p)).sum()))
    return {
        "effective_rank_sigma": effective,
        "effective_rank_sigma_vs_noise": effective / (0.9 * len(s)),
        "stable_rank": float(energy.sum() / energy[0]),
        "k95": int(np.searchsorted(np.cumsum(energy), 0.95 * energy.sum()) + 1),
        "norm": float(energy.sum()),
        "alpha": 3.2,
        "alpha_xmin": float(np.median(energy)),
        "alpha_points": len(s) // 2,
        "mp_edge": float(np.quantile(energy, 0.8)),
        "mp_spikes": int(0.2 * len(s)),
        "gavish_donoho_rank": len(s) // 8,
        "noise_floor": 1e-4,
        "break_even_rank": shape[0] * shape[1] / sum(shape),
    }
