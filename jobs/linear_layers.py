"""A model's linear layers with what is stored of them: shapes, spectra, noise of the same shapes.

Linear layers are the labels of kind "linear": whole matrices, or the parts of fused ones, so that
each entry counts once. A tied matrix has one label; two equal matrices that a file holds twice are
two layers.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.compress.allocation.curves import Layer
from analysis.weights.labels import noise_key
from jobs.errors import JobError


@dataclass(frozen=True, eq=False)
class LinearLayers:
    """What is stored of a model's linear layers.

    `table` has a row for each: layer, block, module, view, kind, rows, cols, itemsize (bytes of an
    entry as stored). `spectra` and `noise` are by layer; `noise` is empty where a shape has none.
    """

    model: dict[str, Any]
    table: pd.DataFrame
    spectra: dict[str, Layer]
    noise: dict[str, Layer]

    @classmethod
    def load(cls, store: Any, model: str) -> "LinearLayers":
        """Read them from a store that answers in frames, as a client's does.

        Raises JobError for a model that has nothing to factor.
        """
        labels = store.labels(model)
        refused = why_not(labels, model)
        if refused:
            raise JobError(refused)
        linear = labels[labels["kind"] == "linear"].reset_index(drop=True)
        stored = _by_key(store, [key for key in linear["matrix_key"] if key])
        spectra = {
            row["layer"]: stored[row["matrix_key"]]
            for row in linear.to_dict("records")
            if row["matrix_key"] in stored
        }
        tensors = store.tensors(model).set_index("name")
        itemsize = linear["tensor"].map(tensors["bytes"] // tensors["parameters"].clip(lower=1))
        table = linear[["layer", "block", "module", "view", "kind", "rows", "cols"]]
        [row] = store.model(model).to_dict("records")
        noise = _noise(store, model, spectra)
        return cls(row, table.assign(itemsize=itemsize.astype(np.int64)), spectra, noise)


def why_not(labels: pd.DataFrame, model: str) -> str:
    """Return why a model has nothing to trade, "" where it has."""
    if labels["view"].fillna("").str.contains("delta").any():
        return (
            f"{model} holds updates of another model. Open the model with its updates merged in, "
            "or the base, to see what its layers would hold."
        )
    if not (labels["kind"] == "linear").any():
        kinds = ", ".join(sorted(set(labels["kind"].dropna()))) or "none"
        return f"{model} has no linear layer to factor (kinds of its matrices: {kinds})."
    return ""


def stamp(store: Any, model: str, labels: pd.DataFrame) -> str:
    """Return a hash of what `load` would read: it changes when a spectrum is stored or replaced.

    So it does with the curves of compression methods. `labels` are the model's.
    """
    keys = [key for key in labels["matrix_key"] if key]
    seeds = _seeds(store, model)
    keys += [noise_key(r, c, seed) for r, c in _shapes(labels) for seed in seeds]
    told = labels.to_json(), sorted(store.known_spectra(keys)["key"])
    told += (store.model(model).to_json(), store.tensors(model)[["name", "bytes"]].to_json())
    told += (store.factor_units(model).to_json(),)
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _by_key(store: Any, keys: Sequence[str]) -> dict[str, Layer]:
    found = store.spectra(list(keys))
    return {
        row.key: Layer(int(row.rows), int(row.cols), np.asarray(row.s, float), row.noise_floor)
        for row in found.itertuples()
    }


def _noise(store: Any, model: str, spectra: Mapping[str, Layer]) -> dict[str, Layer]:
    """Return noise of each layer's shape and norm, {} where a shape has none of one seed."""
    shapes = {(layer.rows, layer.cols) for layer in spectra.values()}
    for seed in _seeds(store, model):
        stored = _by_key(store, [noise_key(*shape, seed) for shape in shapes])
        if len(stored) == len(shapes) > 0:
            return {
                name: _of_norm(stored[noise_key(la.rows, la.cols, seed)], la)
                for name, la in spectra.items()
            }
    return {}


def _of_norm(noise: Layer, layer: Layer) -> Layer:
    """Return noise with the Frobenius norm of a layer."""
    scale = np.linalg.norm(layer.values) / np.linalg.norm(noise.values)
    return Layer(layer.rows, layer.cols, noise.values * scale)


def _seeds(store: Any, model: str) -> list[int]:
    """Return the seeds that spectra of a model were computed with, the newest first."""
    jobs = store.jobs()
    mine = jobs[(jobs["model"] == model) & (jobs["analysis"] == "spectrum")]
    seeds = [int(json.loads(text or "{}").get("seed", 0)) for text in mine["params"]]
    return list(dict.fromkeys([*seeds, 0]))


def _shapes(labels: pd.DataFrame) -> list[tuple[int, int]]:
    linear = labels[labels["kind"] == "linear"]
    return sorted({(int(r), int(c)) for r, c in zip(linear["rows"], linear["cols"], strict=True)})
