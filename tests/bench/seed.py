"""Write a home as full as one becomes: 21 models, 500 jobs in every state, 60 trials.

    python -m tests.bench.seed [HOME]

Without a home it writes one that is gone at the end, to see how long that takes.

One model has 224 layers of 4096 singular values, each beside those of its shuffled weights and of
noise, and losses of three methods at every rank; the others are small and of several depths.
Nothing is computed from weights: values are drawn from a seeded generator, and their measures are
the real ones. A server that starts on this home marks what ran or waited as interrupted, as after
any end of a program.
"""

import argparse
import functools
import hashlib
import io
import json
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa

from analysis.catalogue import _declaration
from analysis.compress.allocation.together import levels
from analysis.numerics.measures import measures
from analysis.registry import find
from analysis.weights.labels import noise_key
from store import Store
from store.artifacts import keep
from tests.app import fake_client, fake_trials
from tests.jobs import planted_factors

LARGE, BLOCKS, WIDTH, INNER = "large", 32, 4096, 11008
SMALL, JOBS, TRIALS, TOKENS = 20, 500, 60, 2048
SMALL_WIDTHS, SMALL_BLOCKS = (32, 48, 64), (2, 3, 4, 6)
CURVES = ("svd", "whitened_svd", "two_sided_svd")
LOSSES = {"svd": 1.2, "whitened_svd": 0.6, "two_sided_svd": 0.4}  # nats where nothing is kept
# What becomes of a job, by its number: most end well.
FATES = ("DONE",) * 12 + ("FAILED", "CANCELLED", "INTERRUPTED", "QUEUED", "RUNNING")
FLOOR = 1e-4
Layers = list[tuple[str, str, int | None, tuple[int, int]]]


def main() -> None:
    """Write the home, and print what it holds."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("home", type=Path, nargs="?", help="a folder that is not a home yet")
    with tempfile.TemporaryDirectory() as folder:
        told(parser.parse_args().home or Path(folder))


def told(home: Path) -> None:
    """Fill a home and print what it holds. Raises SystemExit when it holds models already."""
    home.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with Store(home) as store:
        if len(store.models()):
            raise SystemExit(f"{home} holds models already: name a folder that is not a home yet")
        seed(store, home)
        held = store.counts().to_pylist()[0]
        states = Counter(store.jobs().column("state").to_pylist())
        models = len(store.models())
        trials = len(store.trials(LARGE))
    said = ", ".join(f"{count} {state.lower()}" for state, count in states.most_common())
    print(f"{models} models, {trials} trials, {sum(states.values())} jobs ({said})")
    print(f"{held['units']} units, {held['spectra']} spectra, {held['bytes'] / 1e6:.0f} MB")
    print(f"in {time.monotonic() - began:.0f} s")


def seed(store: Store, home: Path) -> None:
    """Fill an empty store."""
    random = np.random.default_rng(0)
    for analysis in ("spectrum", "trial"):
        store.declare(_declaration(find(analysis)))
    sizes = [(SMALL_WIDTHS[i % 3], SMALL_BLOCKS[i % 4]) for i in range(SMALL)]
    models = {f"small-{i + 1:02}": layers_of(w, 3 * w, b) for i, (w, b) in enumerate(sizes)}
    models[LARGE] = layers_of(WIDTH, INNER, BLOCKS)
    for name, layers in models.items():
        add_model(store, name, layers)
        add_spectra(store, name, layers, random)
    add_curves(store, home, models[LARGE], random)
    add_trials(store, models[LARGE])
    names = list(models)
    for number in range(len(store.jobs(JOBS)), JOBS - 1):
        name = names[number % len(names)]
        block = number % len(models[name]) // 7
        add_job(store, name, models[name][7 * block : 7 * block + 3], FATES[number % len(FATES)])
    add_job(store, LARGE, models[LARGE], "DONE")  # the newest, which pages open


def layers_of(width: int, inner: int, blocks: int) -> Layers:
    """Return the seven linear layers of each block: name, module, block, shape."""
    shapes = dict.fromkeys(("q", "k", "v", "o"), (width, width))
    shapes |= {"gate": (inner, width), "up": (inner, width), "down": (width, inner)}
    return [
        (f"blocks.{block}.{module}", module, block, shape)
        for block in range(blocks)
        for module, shape in shapes.items()
    ]


def add_model(store: Store, name: str, layers: Layers) -> None:
    """Register a model of these layers, which has a norm besides."""
    numbers = sum(rows * cols for *_, (rows, cols) in layers)
    said = {"parameters": numbers, "bytes": 2 * numbers, "blocks": layers[-1][2] + 1}
    store.add_model(fake_client.model_row(name, 0) | said, fake_client.tensor_table(layers))
    store.add_labels(name, fake_client.label_table(layers))


def add_spectra(store: Store, name: str, layers: Layers, random: np.random.Generator) -> None:
    """Give every layer its singular values and their measures, as a job of spectra leaves them."""
    job = fake_client.add_job(store, name, "spectrum", labels=[layer for layer, *_ in layers])
    for layer, _, _, shape in layers:
        own, noise = values(shape, random), noise_of(shape)
        shuffled = noise * np.linalg.norm(own) / np.linalg.norm(noise)
        key = matrix_key(name, layer)
        stored = {key: own, f"shuffled-{key}-seed0": shuffled, noise_key(*shape, 0): noise}
        found = measures(own, shape, FLOOR, shuffled=shuffled, noise=noise)
        said = {"rows": shape[0], "cols": shape[1], "effective_dtype": "float16", "basis": "all σ"}
        rows = pa.Table.from_pylist([found | said])
        unit = unit_row(f"unit-{key}", "spectrum", [key])
        store.finish_unit(unit, rows, spectra_table(stored, shape), None)
        store.link_unit(job, layer, unit["key"], "done")
        store.link_matrix(name, layer, key)
    store.set_progress(job, len(layers), 0, 0, len(layers))
    store.set_job(job, "DONE")


def values(shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """Return descending singular values: a power law that is never quite one."""
    index = np.arange(1, min(shape) + 1)
    drawn = index ** -random.uniform(0.3, 0.8) * random.uniform(0.95, 1.05, len(index))
    return 3.0 * np.sort(drawn)[::-1]


@functools.cache
def noise_of(shape: tuple[int, int]) -> np.ndarray:
    """Return those of noise: the quantiles of a matrix of this aspect with at most 512 of them."""
    smaller = max(min(shape) // 512, 1)
    few = fake_client.noise((shape[0] // smaller, shape[1] // smaller), 0)
    return np.interp(np.linspace(0, 1, min(shape)), np.linspace(0, 1, len(few)), few)


def spectra_table(stored: dict[str, np.ndarray], shape: tuple[int, int]) -> pa.Table:
    """Return singular values by key, as the store takes them."""
    return pa.Table.from_pylist([
        {"matrix_key": key, "rows": shape[0], "cols": shape[1], "noise_floor": FLOOR,
         "effective_dtype": "float16", "s": s}
        for key, s in stored.items()
    ])  # fmt: skip


def add_curves(store: Store, home: Path, layers: Layers, random: np.random.Generator) -> None:
    """Give the large model what each method loses at every rank, as calibrations leave it."""
    keys = [matrix_key(LARGE, layer) for layer, *_ in layers]
    squares = {row["key"]: np.square(row["s"]) for row in store.spectra(keys).to_pylist()}
    for method in CURVES:
        rows = []
        for (layer, _, _, shape), key in zip(layers, keys, strict=True):
            tail = np.append(np.cumsum(squares[key][::-1])[::-1], 0.0)
            row = planted_factors.row(layer, shape, tail, method=method, slope=1e-4)
            rows.append(row | losses(tail, method, random))
            if method == "two_sided_svd":
                rows[-1] |= directions(home, np.array(rows[-1]["expected"]), random)
        planted_factors.add(store, LARGE, rows, inputs=json.dumps(keys))


def losses(tail: np.ndarray, method: str, random: np.random.Generator) -> dict[str, list[float]]:
    """Return curves of one layer that fall as its own tail does, each with a weight of its own."""
    falling = tail / tail[0]
    share = LOSSES[method] / (7 * BLOCKS)
    weights = {"whitened": 1.0, "heldout": 1.1, "expected": share}
    return {name: list(w * random.uniform(0.5, 2) * falling) for name, w in weights.items()}


def directions(home: Path, expected: np.ndarray, random: np.random.Generator) -> dict[str, object]:
    """Return the columns of what is kept of one layer token by token, and keep its file."""
    ranks = levels(expected)
    drawn = random.standard_normal((len(ranks), TOKENS), dtype=np.float32).astype(np.float16)
    buffer = io.BytesIO()
    np.save(buffer, drawn, allow_pickle=False)
    kept = keep(home, buffer.getvalue(), ".npy")
    cell = {"path": kept["path"], "shape": drawn.shape, "dtype": "float16"}
    said = json.dumps(cell | {"sha256": kept["sha256"]})
    return {"sample": "tokens", "levels": list(map(float, ranks)), "directions": said}


def add_trials(store: Store, layers: Layers) -> None:
    """Give the large model a finished sweep of three methods."""
    sizes = np.linspace(0.95, 0.3, TRIALS // len(LOSSES))
    asked = [(method, round(float(kept), 3)) for method in LOSSES for kept in sizes]
    labels = [fake_trials.label(*spec) for spec in asked]
    job = fake_client.add_job(store, LARGE, "trial", labels=labels)
    for (method, kept), label in zip(asked, labels, strict=True):
        lost = LOSSES[method] * (1 - kept) ** 2
        told = {"layers": json.dumps(trial_layers(layers, kept, lost))}
        unit = unit_row(fake_trials.key_of(label), "trial", [])
        rows = pa.Table.from_pylist([fake_trials.row(method, kept, lost, **told)])
        store.finish_unit(unit, rows, None, None)
        store.link_unit(job, label, unit["key"], "done")
    store.set_progress(job, len(asked), 0, 0, len(asked))
    store.set_job(job, "DONE")


def trial_layers(layers: Layers, kept: float, lost: float) -> list[dict[str, object]]:
    """Return what a trial says of each of its layers."""
    [like] = [row for row in fake_trials.layers(kept, lost) if row["layer"] == "blocks.1.q"]
    found = []
    for layer, module, block, (rows, cols) in layers:
        rank = int(kept * rows * cols / (rows + cols))
        own = {"layer": layer, "role": module, "block": block, "rows": rows, "cols": cols}
        numbers = {"rank": rank, "numbers": rank * (rows + cols), "of_numbers": rows * cols}
        found.append(like | own | numbers | {"words": f"rank {rank}, two factor"})
    return found


def add_job(store: Store, model: str, layers: Layers, fate: str) -> None:
    """Add a job of spectra that were stored before, which ended so or never; with its log."""
    labels = [layer for layer, *_ in layers]
    state = "QUEUED" if fate == "QUEUED" else "RUNNING"
    job = fake_client.add_job(store, model, "spectrum", labels=labels, state=state)
    ended = {"DONE": labels, "QUEUED": []}.get(fate, labels[: len(labels) // 2])
    for layer in ended:
        store.link_unit(job, layer, f"unit-{matrix_key(model, layer)}", "done")
    said = f"{len(ended)} of {len(labels)}"
    store.log(job, None, "info", f"{said} layers were stored before")
    store.set_progress(job, 0, int(fate == "FAILED"), len(ended), len(labels))
    if fate not in ("QUEUED", "RUNNING"):
        store.set_job(job, fate, "" if fate == "DONE" else f"{fate.lower()} after {said} units")


def matrix_key(model: str, layer: str) -> str:
    """Return the key that a planted matrix is stored under."""
    return hashlib.sha256(f"{model}{layer}".encode()).hexdigest()


def unit_row(key: str, analysis: str, inputs: list[str]) -> dict[str, object]:
    """Return a finished unit."""
    return {
        "key": key, "analysis": analysis, "version": 1, "params": "{}",
        "inputs": json.dumps(inputs), "state": "done", "message": "", "seconds": 0.2,
        "device": "cpu", "versions": "{}",
    }  # fmt: skip


if __name__ == "__main__":
    main()
