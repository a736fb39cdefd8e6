"""Trade-offs over planted spectra in a real store, against sums made by hand."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from analysis.weights.labels import noise_key
from jobs.errors import JobError
from jobs.linear_layers import stamp
from jobs.proxy import StoreProxy
from jobs.tradeoffs import ALLOCATIONS, FORMS, Tradeoffs
from store import Store

SHAPES = {"blocks.0.q": (24, 24), "blocks.0.up": (48, 24), "blocks.1.q": (24, 24)}
EMBEDDING = (100, 24)
NORM = 24
DEFAULTS = ("greedy", "two_factor", "relative")


def tensors(shapes, itemsize):
    return pa.Table.from_pylist([
        {"name": f"{layer}.weight", "file": "f", "dtype": "float16", "shape": list(shape),
         "parameters": shape[0] * shape[1], "bytes": itemsize * shape[0] * shape[1],
         "layer": layer, "block": None, "module": "q", "state": "matrix", "reason": ""}
        for layer, shape in shapes.items()
    ])  # fmt: skip


def labels(shapes, kinds, view):
    return pa.Table.from_pylist([
        {"layer": layer, "tensor": f"{layer}.weight", "block": 0, "module": layer.split(".")[-1],
         "view": view, "kind": kinds.get(layer, "linear"), "rows": shape[0], "cols": shape[1],
         "dtype": "float16"}
        for layer, shape in shapes.items()
    ])  # fmt: skip


def spectrum(key, shape, values):
    return {
        "matrix_key": key, "rows": shape[0], "cols": shape[1], "noise_floor": 0.0,
        "effective_dtype": "float16", "s": list(map(float, values)),
    }  # fmt: skip


def add_spectra(store, found):
    unit = {
        "key": f"unit-{found[0]['matrix_key']}", "analysis": "spectrum", "version": 1,
        "params": "{}", "inputs": "[]", "state": "done", "message": "", "seconds": 0.1,
        "device": "cpu", "versions": "{}",
    }  # fmt: skip
    store.finish_unit(unit, None, pa.Table.from_pylist(found), None)


def plant(store, *, spectra, noise=(), kinds=None, view="whole", itemsize=2):
    """A model of three linear layers and an embedding, with these spectra by layer."""
    shapes = {**SHAPES, "embed": EMBEDDING}
    kinds = {"embed": "embedding", **(kinds or {})}
    listed = tensors(shapes, itemsize)
    parameters = sum(listed.column("parameters").to_pylist()) + NORM
    store.add_model({
        "name": "m", "path": "/m", "origin": "/m", "kind": "transformers", "architecture": "X",
        "parameters": parameters, "blocks": 2, "dtype": "float16", "bytes": itemsize * parameters,
        "flops": None, "steps": "[]", "notes": "",
    }, listed)  # fmt: skip
    store.add_labels("m", labels(shapes, kinds, view))
    for layer, values in spectra.items():
        add_spectra(store, [spectrum(f"key-{layer}", shapes[layer], values)])
        store.link_matrix("m", layer, f"key-{layer}")
    for shape in noise:
        values = np.linalg.svd(np.random.default_rng(0).normal(size=shape), compute_uv=False)
        add_spectra(store, [spectrum(noise_key(*shape, 3), shape, values)])
    store.create_job({
        "id": "j", "model": "m", "analysis": "spectrum", "params": json.dumps({"seed": 3}),
        "layers": "*", "device": "auto", "total": 0,
    })  # fmt: skip


def values(seed=0):
    index = np.arange(1, 25)
    return {
        layer: (1 + i) * index ** -(0.3 + 0.3 * i) for i, layer in enumerate(SHAPES, start=seed)
    }


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path) as made:
        yield made


def loaded(store):
    return Tradeoffs.load(StoreProxy(store), "m")


@pytest.mark.parametrize("objective", ["relative", "total"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_every_total_is_the_sum_over_the_table(store, allocation, form, objective):
    plant(store, spectra=values())
    point = loaded(store).at(0.6, allocation, form, objective)
    dense = sum(m * n for m, n in SHAPES.values())
    after, bytes_ = 0, 0
    for row in point.layers.itertuples():
        m, n = SHAPES[row.layer]
        held = row.rank * (m + n) if form == "two_factor" else row.rank * (m + n - row.rank)
        after += m * n if row.dense else held
        indices = 4 * row.rank if form == "row_interpolative" and not row.dense else 0
        bytes_ += 2 * (m * n if row.dense else held) + indices
        s = values()[row.layer]
        kept = 24 if row.dense else row.rank
        # 24 squares are summed: a few units in the last place.
        assert row.error == pytest.approx(np.sqrt((s[kept:] ** 2).sum() / (s**2).sum()), rel=1e-14)
    others = EMBEDDING[0] * EMBEDDING[1] + NORM
    assert point.of_parameters == dense
    assert (point.parameters, point.model_parameters) == (after, after + others)
    assert point.of_model_parameters == dense + others
    assert point.bytes == bytes_ + 2 * others
    assert point.of_bytes == 2 * (dense + others)
    assert dense * 0.6 - (48 + 24) < point.parameters <= dense * 0.6


def test_the_error_is_of_the_objective(store):
    plant(store, spectra=values())
    trade = loaded(store)
    for objective, weigh in (("relative", False), ("total", True)):
        point = trade.at(0.5, "uniform", "two_factor", objective)
        weights = [(s**2).sum() if weigh else 1.0 for s in values().values()]
        lost = np.square(point.layers["error"].to_numpy(float))
        assert point.error == pytest.approx(np.sqrt(weights @ lost / np.sum(weights)), rel=1e-14)
        assert point.energy == pytest.approx(1 - weights @ lost / np.sum(weights), rel=1e-14)


def test_everything_kept_is_the_untouched_model(store):
    plant(store, spectra=values())
    for form in FORMS:
        point = loaded(store).at(1.0, "uniform", form, "relative")
        assert point.left_dense == 3
        assert point.bytes == point.of_bytes
        assert point.model_parameters == point.of_model_parameters
        assert (point.error, point.warnings) == (0.0, ())


def test_layers_without_a_spectrum_are_dense_and_in_every_total(store):
    some = values()
    del some["blocks.0.up"]
    plant(store, spectra=some)
    trade = loaded(store)
    assert trade.missing == ["blocks.0.up"]
    assert trade.least == pytest.approx(48 * 24 / (2 * 24 * 24 + 48 * 24))
    point = trade.at(0.8, *DEFAULTS)
    row = point.layers.set_index("layer").loc["blocks.0.up"]
    assert row["dense"]
    assert row["after"] == row["before"] == 48 * 24
    assert pd.isna(row["rank"])
    assert pd.isna(row["error"])
    assert row["reason"] == "dense: no spectrum is stored"
    assert point.parameters <= 0.8 * point.of_parameters
    others = EMBEDDING[0] * EMBEDDING[1] + NORM
    assert point.model_parameters == int(point.layers["after"].sum()) + others
    compared = trade.compare(0.8, "relative").iloc[0]
    assert compared["left_dense"] == point.left_dense > 0
    assert "without a stored spectrum: 1 of 3. They are counted dense" in point.warnings[0]
    assert "blocks.0.up" in point.warnings[0]
    with pytest.raises(JobError, match=r"40\.0% cannot be reached: .* those 1 hold 50\.0%"):
        trade.at(0.4, *DEFAULTS)
    sizes, _ = trade.curve(*DEFAULTS)
    assert sizes.min() >= trade.least


def test_a_tied_matrix_counts_once_and_an_equal_one_of_its_own_twice(store):
    some = values()
    some["blocks.1.q"] = some["blocks.0.q"]
    plant(store, spectra=some)
    store.link_matrix("m", "blocks.1.q", "key-blocks.0.q")  # as equal bytes are linked
    assert loaded(store).of_parameters == 2 * 24 * 24 + 48 * 24


def test_whole_fused_tensors_and_heads_do_not_count_beside_their_parts(store):
    plant(store, spectra=values(), kinds={"blocks.1.q": "other"})
    assert list(loaded(store).layers["layer"]) == ["blocks.0.q", "blocks.0.up"]


@pytest.mark.parametrize(
    ("kinds", "view", "words"),
    [
        (dict.fromkeys(SHAPES, "conv"), "flattened", "no linear layer to factor .*conv, embedding"),
        ({}, "delta", "m holds updates of another model"),
    ],
)
def test_what_has_nothing_to_trade_says_why(store, kinds, view, words):
    plant(store, spectra=values(), kinds=kinds, view=view)
    with pytest.raises(JobError, match=words):
        loaded(store)


def test_noise_is_drawn_where_every_shape_has_some_of_one_seed(store):
    plant(store, spectra=values(), noise=[(24, 24)])
    assert not loaded(store).has_noise
    add = np.linalg.svd(np.random.default_rng(1).normal(size=(48, 24)), compute_uv=False)
    add_spectra(store, [spectrum(noise_key(48, 24, 3), (48, 24), add)])
    trade = loaded(store)
    assert trade.has_noise
    _, own = trade.curve(*DEFAULTS)
    sizes, noise = trade.curve(*DEFAULTS, noise=True)
    # These spectra decay as powers, noise does not: at any size but all it loses more.
    assert (noise[sizes < 1] > own[sizes < 1]).all()
    assert noise[-1] == own[-1] == 0


def test_noise_has_the_norm_of_its_layer_when_the_total_counts(store):
    plant(store, spectra=values(), noise=[(24, 24), (48, 24)])
    [noise, own] = [
        [np.linalg.norm(layer.values) for layer in found.values()]
        for stored in [loaded(store)._stored]
        for found in (stored.noise, stored.spectra)
    ]
    assert noise == pytest.approx(own, rel=1e-14)


def test_a_curve_goes_through_the_points(store):
    plant(store, spectra=values())
    trade = loaded(store)
    for allocation in ALLOCATIONS:
        sizes, errors = trade.curve(allocation, "row_interpolative", "relative")
        again = [trade.at(float(s), allocation, "row_interpolative", "relative") for s in sizes]
        assert errors.tolist() == [point.error for point in again]
    assert len(sizes) <= 256


def test_the_comparison_holds_every_allocation_in_both_forms(store):
    plant(store, spectra=values())
    trade = loaded(store)
    rows = trade.compare(0.6, "total").to_dict("records")
    assert len(rows) == len(ALLOCATIONS) * len(FORMS)
    for row in rows:
        point = trade.at(0.6, row["allocation"], row["form"], "total")
        assert (row["error"], row["bytes"]) == (point.error, point.bytes)
        assert (row["parameters"], row["left_dense"]) == (point.parameters, point.left_dense)
    error = {(row["allocation"], row["form"]): row["error"] for row in rows}
    # More ranks fit into the same size, and uniform ranks keep more of every layer.
    assert error["uniform", "row_interpolative"] < error["uniform", "two_factor"]


def test_uniform_ranks_near_full_size_warn(store):
    plant(store, spectra=values())
    trade = loaded(store)
    point = trade.at(0.99, "uniform", "two_factor", "relative")
    assert "in two factors keeps as little as 46% of its rank" in point.warnings[0]
    assert not trade.at(0.6, "uniform", "two_factor", "relative").warnings
    assert not trade.at(0.99, "uniform", "row_interpolative", "relative").warnings


def test_totals_and_layers_that_keep_nothing_warn(store):
    plant(store, spectra=values())
    trade = loaded(store)
    [total] = trade.at(0.6, "greedy", "two_factor", "total").warnings
    assert "prefer each layer's own energy" in total
    [gone] = trade.at(0.02, *DEFAULTS).warnings
    assert gone == "Layers that keep no direction: 3. Only their bias would be left."


def test_a_layer_of_zeros_costs_nothing_and_loses_nothing(store):
    some = values()
    some["blocks.1.q"] = np.zeros(24)
    plant(store, spectra=some)
    row = loaded(store).at(0.6, *DEFAULTS).layers.set_index("layer").loc["blocks.1.q"]
    assert (row["rank"], row["after"], row["error"]) == (0, 0, 0.0)
    assert row["reason"] == "every entry is zero"


def test_dense_layers_say_why(store):
    plant(store, spectra=values())
    layers = loaded(store).at(0.93, "greedy", "two_factor", "relative").layers
    [reason] = set(layers[layers["dense"] & (layers["full"] == layers["cols"])]["reason"]) & {
        "dense: factors save up to rank 11"
    }
    assert reason
    assert (layers[~layers["dense"]]["reason"] == "").all()


def test_the_stamp_changes_with_what_is_stored(store):
    some = values()
    late = some.pop("blocks.0.up")
    plant(store, spectra=some)
    first = stamped(store)
    assert stamped(store) == first
    add_spectra(store, [spectrum("key-late", (48, 24), late)])
    store.link_matrix("m", "blocks.0.up", "key-late")
    second = stamped(store)
    add_spectra(store, [spectrum(noise_key(24, 24, 3), (24, 24), late)])
    assert len({first, second, stamped(store)}) == 3


def stamped(store):
    proxy = StoreProxy(store)
    return stamp(proxy, "m", proxy.labels("m"))


def test_no_torch_is_needed():
    program = "import sys, jobs.tradeoffs; print({'torch', 'ray'} & set(sys.modules))"
    told = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert told.stdout == "set()\n"
