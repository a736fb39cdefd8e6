"""The sizes that a trial reports are those of the file that it saves, never above the budget."""

import json
import math
import re

import pytest

from analysis.compress.trials.specs import Spec
from analysis.networks.errors import BadInput
from tests.analysis.compress.staged import by_hand, file_of, full_ranks, ranked, staged

pytestmark = pytest.mark.usefixtures("one_thread")
BLOCKS = ("model.layers.", "transformer.h.")
SPECS = {
    "greedy": ranked("two_sided_svd", 0.6),
    "uniform": ranked("two_sided_svd", 0.7, "uniform"),
    "energy": ranked("svd", 0.5, "energy"),
    "rows": ranked("whitened_svd", 0.6, "greedy", "row_interpolative"),
    "rows, uniform": ranked("svd", 0.83, "uniform", "row_interpolative"),
    "welore": ranked("welore", 0.8, "welore"),
    "all of welore": ranked("welore", 0.8, "welore", settings={"layers": "all"}),
    "mpo": Spec("mpo", kept=0.7),
    "tucker": Spec("tucker", kept=0.8),
    "with eora": ranked("svd", 0.8, compensation="eora", compensation_rank=1),
}


@pytest.fixture(scope="module", params=["llama", "tied", "gpt2", "half"])
def stages(request, tmp_path_factory):
    return staged(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def saved(stages):
    found = {}

    def get(name):
        if name not in found:
            found[name] = stages.saved(SPECS[name])
        return found[name]

    return get


def in_blocks(tensors):
    """Biases, gains and row numbers have one dimension, and embeddings are in no block."""
    return {k: t for k, t in tensors.items() if k.startswith(BLOCKS) and t.ndim >= 2}


def numel(tensors):
    return sum(tensor.numel() for tensor in tensors.values())


@pytest.mark.parametrize("name", SPECS)
def test_what_is_reported_is_in_the_file(stages, saved, name):
    row, folder = saved(name)
    tensors, dense = file_of(folder), file_of(stages.folder.parent / "model")
    assert row.linear_numbers == numel(in_blocks(tensors))
    assert row.of_linear_numbers == numel(in_blocks(dense))
    of_model = {k: t for k, t in tensors.items() if t.is_floating_point()}
    assert row.model_numbers == numel(of_model)
    assert row.of_model_numbers == numel(dense)  # a tied matrix is in the file once
    assert row.kept_linear == row.linear_numbers / row.of_linear_numbers
    assert row.kept_model == row.model_numbers / row.of_model_numbers
    assert row.bytes == (folder / "model.safetensors").stat().st_size
    assert {t.dtype for t in of_model.values()} == {t.dtype for t in dense.values()}
    # Of the dense model, saved in the same type.
    assert row.of_bytes == (stages.folder.parent / "model/model.safetensors").stat().st_size


@pytest.mark.parametrize("name", SPECS)
def test_no_trial_is_above_its_budget_and_no_layer_above_dense(saved, name):
    row, _ = saved(name)
    assert row.nominal == SPECS[name].kept
    assert row.linear_numbers <= math.floor(row.nominal * row.of_linear_numbers + 1e-9)
    layers = json.loads(row.layers)
    assert sum(one["numbers"] for one in layers) == row.linear_numbers
    if name != "tucker":  # whose first matrix holds what the others share
        assert all(one["numbers"] <= one["of_numbers"] for one in layers)
    assert "Larger than dense" not in row.warnings


@pytest.mark.parametrize("name", ["greedy", "uniform", "energy", "rows", "rows, uniform"])
def test_what_is_left_of_the_budget_buys_no_further_direction(saved, name):
    row, _ = saved(name)
    left = math.floor(row.nominal * row.of_linear_numbers + 1e-9) - row.linear_numbers
    for one in json.loads(row.layers):
        if one["dense"]:
            continue
        m, n, k = one["rows"], one["cols"], one["rank"] + 1
        more = k * (m + n) if row.form == "two_factor" else k * (m + n - k)
        # Where no larger rank loses less, there is nothing to buy in that layer.
        assert min(more, m * n) - one["numbers"] > left
    assert row.kept_linear > row.nominal - 0.05


@pytest.mark.parametrize("name", ["welore", "mpo", "tucker"])
def test_sizes_of_their_own_say_that_they_are_the_nearest_below(saved, name):
    row, _ = saved(name)
    nearest = f"{row.kept_linear:.1%} is the nearest size below the {row.nominal:.1%}"
    assert (nearest in row.warnings) == (row.nominal - row.kept_linear >= 0.001)


def test_near_full_size_no_layer_grows(stages):
    for kept in (0.99, 0.95):
        for form in ("two_factor", "row_interpolative"):
            row = stages.row(ranked("svd", kept, "uniform", form))
            layers = json.loads(row.layers)
            assert all(one["numbers"] <= one["of_numbers"] for one in layers)
            assert row.kept_linear <= kept


def test_a_larger_layer_is_made_where_it_was_asked_for_and_said(stages):
    made = stages.made(by_hand("svd", {"blocks.0.q": 13}))
    [layer] = [one for one in made.results if not one.dense]
    assert layer.numbers == 13 * (layer.rows + layer.cols) > layer.of_numbers
    said = [line for line in made.warnings if line.startswith("Larger than dense")]
    assert said == ["Larger than dense: blocks.0.q."]  # once
    assert made.linear[0] - made.linear[1] == layer.numbers - layer.of_numbers
    whole = stages.made(by_hand("svd", full_ranks(stages), "row_interpolative"))
    assert whole.linear[0] == whole.linear[1]
    assert not any("Larger" in said for said in whole.warnings)


@pytest.mark.parametrize(("bits", "eora"), [(8, False), (4, False), (3, False), (3, True)])
def test_rounded_layers_are_counted_packed_with_their_scales(stages, bits, eora):
    more = {"compensation": "eora", "compensation_rank": 2} if eora else {}
    row, folder = stages.saved(Spec("rtn", {"bits": str(bits), "group": "8"}, **more))
    dense = file_of(stages.folder.parent / "model")
    expected, wide = 0, next(iter(dense.values())).dtype.itemsize
    for one in json.loads(row.layers):
        m, n = one["rows"], one["cols"]
        expected += -(-m * n // 8) * bits if bits == 3 else m * n * bits // 8
        expected += 2 * 2 * m * -(-n // 8)  # a scale and a zero, float16
        expected += 2 * (m + n) * wide if eora else 0
    others = numel(dense) - numel(in_blocks(dense))
    data = sum(t.numel() * t.element_size() for t in file_of(folder).values())
    assert data == expected + others * wide
    assert row.bytes == (folder / "model.safetensors").stat().st_size
    extra = sum(2 * (one["rows"] + one["cols"]) for one in json.loads(row.layers)) if eora else 0
    assert row.linear_numbers == row.of_linear_numbers + extra
    assert row.nominal is None


def test_a_size_below_the_smallest_is_refused_with_the_smallest(stages):
    with pytest.raises(BadInput, match=r"5 % of .* leaves at least [\d.]+ % of them") as refusal:
        stages.made(Spec("tucker", kept=0.05))
    least = float(re.search(r"at least ([\d.]+) %", str(refusal.value))[1]) / 100
    made = stages.made(Spec("tucker", kept=least))
    now, dense = made.linear
    assert least - 0.001 < now / dense <= least
    with pytest.raises(BadInput):
        stages.made(Spec("tucker", kept=least - 0.002))
