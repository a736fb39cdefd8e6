"""How long the store takes with the spectra of a large model.

224 layers of 4,096 singular values each, about a 7B model's linear layers. Nothing is asserted.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parents[2]))
from store import Store

LAYERS, VALUES, REPEATS = 224, 4096, 7
ANALYSIS = {
    "name": "spectrum",
    "columns": [{"name": f"measure_{i}", "type": "float"} for i in range(50)],
}


def main() -> None:
    """Write, read and downsample; print milliseconds."""
    keys = [f"{layer:064x}" for layer in range(LAYERS)]
    with tempfile.TemporaryDirectory() as home, Store(home) as store:
        store.declare(ANALYSIS)
        store.add_labels("large", pa.Table.from_pylist([label(key) for key in keys]))
        store.create_job({"id": "a", "model": "large", "analysis": "spectrum"})
        show("write, one transaction a layer (three calls each)", lambda: write(store, keys), 1)
        show("read every spectrum", lambda: store.spectra(keys))
        show("read one spectrum", lambda: store.spectra(keys[:1]))
        show("downsample every spectrum to 128 points", lambda: store.decays(keys, 128))
        show("downsample every spectrum to 256 points", lambda: store.decays(keys, 256))
        show("sparks of every spectrum", lambda: store.sparks(keys))
        show("energy ranks of every spectrum", lambda: store.energy_ranks(keys, 0.95))
        show("profile of the model", lambda: store.profile("large"))
        show("results of the job", lambda: store.results("a"))
        show("write one line to the log", lambda: store.log("a", None, "info", "line"))
        print(f"{store.counts()['bytes'][0].as_py() / 2**20:9.1f} MiB on disk")


def write(store, keys) -> None:
    """Store each layer as a worker's batch comes in."""
    random = np.random.default_rng(0)
    for key in keys:
        s = np.sort(random.gamma(1.0, size=VALUES))[::-1]
        rows = pa.table({f"measure_{i}": [float(i)] for i in range(50)})
        unit = {"key": f"unit {key}", "analysis": "spectrum", "version": 1, "state": "done"}
        unit["inputs"] = [key]
        store.finish_unit(unit, rows, spectrum(key, s), None)
        store.link_matrix("large", key, key)
        store.link_unit("a", key, f"unit {key}", "done")


def spectrum(key, s) -> pa.Table:
    """Return one stored spectrum."""
    sides = {"rows": [len(s)], "cols": [len(s)], "noise_floor": [0.0]}
    return pa.table({"key": [key], **sides, "effective_dtype": ["float16"], "s": [s]})


def label(key) -> dict[str, object]:
    """Return the label of a layer."""
    sides = {"rows": VALUES, "cols": VALUES, "dtype": "float16"}
    return {"layer": key, "tensor": key, "module": "q", "view": "whole", "kind": "linear", **sides}


def show(what, action, repeats=REPEATS) -> None:
    """Print the median time of an action."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(1000 * (time.perf_counter() - start))
    print(f"{statistics.median(times):9.1f} ms   {what}")


if __name__ == "__main__":
    main()
