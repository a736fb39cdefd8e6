"""Rows of activations against the activations themselves, taken by hooks."""

import dataclasses
import os

import numpy as np
import pytest
import torch

os.environ["HF_HUB_OFFLINE"] = "1"

from analysis import catalogue, registry, trial
from analysis.activations import Params, activations
from analysis.compress.calibration import calibrate as calibration
from analysis.compress.pieces import NonFiniteLayer
from analysis.compress.trials.calibrating import calibrate_stage, settings_of
from analysis.compress.trials.specs import Spec
from analysis.compress.trials.stages import STATISTICS, Given, group_name
from analysis.compress.trials.targets import targets, weight
from analysis.networks.opened import OpenedModel
from analysis.registry import Quiet
from tests.analysis.evaluate.small_models import on_disk, written

SIX_BY_TWO = {"hidden_size": 24, "num_attention_heads": 6, "num_key_value_heads": 2}
FAMILIES = {
    "llama": {**SIX_BY_TWO, "attention_bias": True},
    "qwen3": {"tie_word_embeddings": True},
    "gpt2": {},
    "encoder": {},
}
HEADS = {"llama": (2, 4), "qwen3": (2, 8), "gpt2": (4, 4), "encoder": (4, 4)}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def linear_layers(opened):
    return [r.label.layer for r in opened.source.matrices() if r.label.kind == "linear"]


class Calibrated:
    """A tiny model on disk with the statistics of all its linear layers."""

    def __init__(self, folder, family="llama", windows=7, length=12, layers=None):
        opened, self.network = on_disk(folder / "model", family, **FAMILIES[family])
        chosen = tuple(layers or linear_layers(opened))
        self.opened = dataclasses.replace(opened, layers=chosen, all_layers=False)
        self.params = Params(
            calibrate=written(folder), calibration_windows=windows, calibration_length=length,
            gradient="none",
        )  # fmt: skip
        self.folder = folder / "statistics"
        list(calibrate_stage(self.opened, self.params, chosen, self.folder, Quiet()))

    def rows(self):
        labels = [ref.label for ref in self.opened.source.matrices()]
        groups = {group_name(la.block) for la in labels if la.layer in self.opened.layers}
        given = Given(
            opened=self.opened, spec=Spec(""), params=self.params, factors={},
            statistics=dict.fromkeys(sorted(groups), self.folder), dense=self.folder,
        )  # fmt: skip
        return list(activations(given, Quiet()))

    def inputs(self):
        """X (n, N) of each layer, and its W (m, n), of the very windows that were counted."""
        found, _ = targets(self.opened, self.network, self.opened.layers)
        seen = {}
        for target in found:
            module = self.network.get_submodule(target.module)
            module.register_forward_pre_hook(
                lambda _, x, layer=target.layer: seen.setdefault(layer, []).append(x[0][0].double())
            )
        with torch.no_grad():
            for window in calibration.tokens(self.opened, settings_of(self.params)):
                self.network(input_ids=window[None])
        return {
            t.layer: (torch.cat(seen[t.layer]).T, weight(self.network, t).double()) for t in found
        }


def powers(X):
    return (torch.linalg.svdvals(X).square() / X.shape[1]).numpy()


def close(found, expected):
    """Descending values, of which those of rounding may be missing."""
    expected = np.pad(expected, (0, max(0, len(found) - len(expected))))[: len(found)]
    return found == pytest.approx(expected, abs=1e-12 * expected[0])


@pytest.mark.parametrize("family", FAMILIES)
def test_spectra_of_layers_and_heads_are_those_of_the_activations(tmp_path, family):
    calibrated = Calibrated(tmp_path, family)
    rows, activated = calibrated.rows(), calibrated.inputs()
    heads, size = HEADS[family]
    assert {row.layer for row in rows if row.head is None} == set(activated)
    assert len(activated) == len(calibrated.opened.layers)
    for row in rows:
        X, W = activated[row.layer]
        assert row.tokens == X.shape[1]
        assert row.tokens_by_input == X.shape[1] / X.shape[0]
        if row.head is None:
            assert close(row.input_values, powers(X))
        else:
            W = W[row.head * size : (row.head + 1) * size]
            assert row.input_values is None
        assert (row.rows, row.cols) == tuple(W.shape)
        assert close(row.output_values, powers(W @ X))
        at, V = int(row.acts_at[4]), torch.linalg.svd(X).U
        share = (W @ V[:, :at]).square().sum() / W.square().sum()
        assert row.acts[4] == pytest.approx(float(share), abs=1e-6)  # V of single precision inputs
    split = [(r.layer, r.head) for r in rows if r.head is not None]
    blocks = range(2)
    assert split == [(f"blocks.{b}.{m}", h) for b in blocks for m in "kv" for h in range(heads)]


def test_dimensions_are_those_of_the_spectra(tmp_path):
    for row in Calibrated(tmp_path).rows():
        for side, values in (("input", row.input_values), ("output", row.output_values)):
            if values is None:
                continue
            shares = np.array(values) / sum(values)
            whole = np.cumsum(shares)
            assert getattr(row, f"{side}_dimension") == pytest.approx(1 / (shares**2).sum())
            for percent in (95, 99):
                k = getattr(row, f"{side}_{percent}")
                assert whole[k - 1] >= percent / 100 - 1e-9
                assert k == 1 or whole[k - 2] < percent / 100


def test_the_predicted_cache_is_the_directions_of_each_head_at_two_bytes(tmp_path):
    rows = Calibrated(tmp_path).rows()
    for row in rows:
        if row.layer.rpartition(".")[2] not in ("k", "v"):
            assert row.cache_bytes_full is None
        elif row.head is not None:
            assert row.cache_bytes_95 == 2 * row.output_95
            assert row.cache_bytes_99 == 2 * row.output_99
            assert row.cache_bytes_full == 2 * 4
        else:
            own = [r for r in rows if r.layer == row.layer and r.head is not None]
            assert row.cache_bytes_95 == sum(r.cache_bytes_95 for r in own)
            assert row.cache_bytes_99 == sum(r.cache_bytes_99 for r in own)
            assert row.cache_bytes_full == 2 * row.rows == 16


def test_a_model_that_does_not_generate_has_no_cache(tmp_path):
    rows = Calibrated(tmp_path, "encoder").rows()
    assert any(row.head is not None for row in rows)
    assert {row.cache_bytes_full for row in rows} == {None}


def test_fewer_tokens_than_inputs_is_said(tmp_path):
    calibrated = Calibrated(tmp_path, windows=1, length=5)
    rows = calibrated.rows()
    assert {row.note for row in rows if row.cols == 24} == {
        "5 tokens show at most 5 of 24 directions: raise calibration_windows"
    }
    assert all(sum(v > 0 for v in row.output_values) <= 5 for row in rows)
    assert {row.note for row in Calibrated(tmp_path / "more").rows()} == {None}


def changed(calibrated, **fields):
    """Give the layer blocks.0.up other statistics."""
    known = calibration.load(calibrated.folder / STATISTICS)
    own = known["blocks.0.up"]
    known["blocks.0.up"] = dataclasses.replace(own, gram=own.gram * 0, **fields)
    calibration.save(calibrated.folder / STATISTICS, known)


@pytest.mark.parametrize(("tokens", "why"), [(0, "no token reached it"), (9, "its input was 0")])
def test_a_layer_without_inputs_has_its_row_and_no_numbers(tmp_path, tokens, why):
    calibrated = Calibrated(tmp_path)
    changed(calibrated, tokens=tokens)
    [row] = [row for row in calibrated.rows() if row.layer == "blocks.0.up"]
    assert (row.note, row.tokens, row.rows, row.cols) == (why, tokens, 24, 24)
    place = ("layer", "block", "module", "rows", "cols", "tokens", "tokens_by_input", "note")
    assert {getattr(row, f.name) for f in dataclasses.fields(row) if f.name not in place} == {None}


def test_a_layer_that_was_not_calibrated_is_listed(tmp_path):
    calibrated = Calibrated(tmp_path, layers=["blocks.0.q", "blocks.1.down"])
    more = (*calibrated.opened.layers, "blocks.1.up")
    calibrated.opened = dataclasses.replace(calibrated.opened, layers=more)
    rows = {row.layer: row for row in calibrated.rows()}
    assert set(rows) == set(more)
    assert rows["blocks.1.up"].note == "not calibrated: it has no module of its own"
    assert rows["blocks.0.q"].input_dimension > 1


def test_heads_that_are_not_known_count_as_one(tmp_path, monkeypatch):
    monkeypatch.setattr("analysis.activations.heads_of", lambda _: None)
    rows = Calibrated(tmp_path).rows()
    assert {row.head for row in rows} == {None}
    for row in rows:
        if row.layer.endswith(".k"):
            assert row.note == "its heads are not known, so it counts as one"
            assert row.cache_bytes_95 == 2 * row.output_95


def test_a_weight_that_is_not_finite_is_named(tmp_path):
    calibrated = Calibrated(tmp_path)
    with torch.no_grad():
        calibrated.network.model.layers[1].mlp.up_proj.weight[2, 3] = torch.nan
    calibrated.network.save_pretrained(tmp_path / "model")
    calibrated.opened = dataclasses.replace(
        OpenedModel.open(tmp_path / "model"), layers=calibrated.opened.layers
    )
    with pytest.raises(NonFiniteLayer, match=r"blocks\.1\.up: its weight holds NaN"):
        calibrated.rows()


def test_each_input_is_decomposed_once(tmp_path, monkeypatch):
    calibrated, count = Calibrated(tmp_path), []
    eigh = torch.linalg.eigh
    monkeypatch.setattr(torch.linalg, "eigh", lambda G: count.append(G) or eigh(G))
    calibrated.rows()
    assert len(count) == 2 * 4  # blocks; inputs of q k v, of o, of gate and up, of down


def test_progress_is_reported_to_the_end(tmp_path):
    calibrated, said = Calibrated(tmp_path), []
    given = Given(
        calibrated.opened, Spec(""), calibrated.params, {},
        {"block 0": calibrated.folder, "block 1": calibrated.folder}, calibrated.folder,
    )  # fmt: skip
    list(activations(given, lambda *words: said.append(words)))
    assert said[0] == (0, 14, "blocks.0.q")
    assert said[-1] == (14, 14)


def test_it_is_calibrated_as_a_trial_is():
    of_trials = {field.name: field for field in dataclasses.fields(trial.Params)}
    for field in dataclasses.fields(Params):
        other = of_trials[field.name]
        assert (field.type, field.default) == (other.type, other.default)
        assert field.metadata == other.metadata
    assert settings_of(Params()) == settings_of(trial.Params()) == calibration.Calibration()


def test_the_catalogue_declares_it():
    found = registry.find("activations")
    assert (found.unit, found.view, found.by_layer) == ("stages", "activations", True)
    declared = catalogue.describe()["analyses"]["activations"]
    columns = {column["name"]: column for column in declared["columns"]}
    assert [name for name, column in columns.items() if column.get("index")] == ["layer", "head"]
    assert all(column.get("help") for column in columns.values())
    assert "float16" in columns["cache_bytes_95"]["help"]
    assert "before rotary" in columns["cache_bytes_95"]["help"]
