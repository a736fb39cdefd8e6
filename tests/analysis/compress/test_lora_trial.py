"""Trials of updates: what is measured is the base with the adapter that is written, and no more."""

import hashlib
import json
import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

os.environ["HF_HUB_OFFLINE"] = "1"

from analysis.compress.lora.trial import compare_update
from analysis.compress.pieces import NonFiniteLayer
from analysis.compress.registry import find, register
from analysis.compress.trials.exporting import export
from analysis.compress.trials.measuring import evaluation_stage, read_evaluation, settings_of
from analysis.compress.trials.specs import Spec, expand
from analysis.compress.trials.stages import Given
from analysis.evaluate.evaluation import evaluate
from analysis.networks.errors import BadInput
from analysis.networks.opened import OpenedModel
from analysis.numerics.low_rank import LowRank
from analysis.registry import Quiet
from analysis.trial import Params, trial
from tests.analysis.compress.test_lora import CHANGED, EMBEDDING, NORM, PREFIX, adapted, drawn
from tests.analysis.evaluate.small_models import TEXT, on_disk, written
from tests.analysis.tiny_transformers import tiny
from tests.analysis.weights import adapters

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")
IDS = torch.randint(6, 29, (2, 12), generator=torch.Generator().manual_seed(3))
EQUAL = 1e-5  # of the largest logit: two orders of float32's sums
SHRUNK, EXTRACTED = Spec("lora_shrink", kept=0.5), Spec("lora_extract", kept=0.5)


def logits(network):
    with torch.no_grad():
        return network(input_ids=IDS)[0]


def same(network, other):
    expected = logits(other)
    return (logits(network) - expected).abs().max() <= EQUAL * expected.abs().max()


class Trials:
    """A model with an update, and what is measured of it."""

    def __init__(self, folder, opened):
        self.opened = opened
        self.folder = folder
        text = written(folder)
        self.params = Params(evaluate=text, windows=8, window=12)
        list(evaluation_stage(opened, self.params, folder / "dense", Quiet()))

    def given(self, spec, **more):
        dense = self.folder / "dense"
        return Given(
            self.opened,
            spec,
            factors={},
            statistics={},
            **{"params": self.params, "dense": dense} | more,
        )

    def row(self, spec, **more):
        [row] = trial(self.given(spec, **more), Quiet())
        return row

    def score(self, network):
        return evaluate(self.opened, network, settings_of(self.params)).score

    @property
    def dense(self):
        return read_evaluation(self.folder / "dense").score


@pytest.fixture
def adapter(tmp_path):
    """An adapter with ranks 3 and 5 of a Llama beside it."""
    on_disk(tmp_path / "base", "llama")
    folder = tmp_path / "adapter"
    adapters.save("patterns", tiny("llama"), folder)
    path = folder / "adapter_config.json"
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": "../base"})
    )
    return Trials(tmp_path, OpenedModel.open(folder))


def tuned(folder, family, more=()):
    """A base, and a copy with an update of rank 3 in three modules, and other tensors shifted."""
    on_disk(folder / "base", family)
    shutil.copytree(folder / "base", folder / "tuned")
    path = folder / "tuned" / "model.safetensors"
    tensors = load_file(path)
    for i, module in enumerate(CHANGED[family]):
        name = f"{PREFIX[family]}.{module}.weight"
        m, n = tensors[name].shape
        tensors[name] = (
            tensors[name] + (0.2 * drawn(m, 3, seed=i) @ drawn(3, n, seed=i + 9)).float()
        )
    for name in more:
        tensors[name] = tensors[name] + 0.5
    save_file(tensors, path, metadata={"format": "pt"})
    return OpenedModel.open(folder / "tuned", base=str(folder / "base"))


def size(factors):
    return sum(factor.numel() for factor in factors.values())


def test_an_adapter_that_keeps_everything_loses_nothing(adapter):
    row = adapter.row(replace(SHRUNK, kept=1.0))
    assert row.dense_score == adapter.dense
    assert row.delta == pytest.approx(0, abs=1e-6)
    assert row.linear_numbers == row.of_linear_numbers
    assert (row.kept_linear, row.kept_model) == (1, 1)
    bare = adapter.score(OpenedModel(adapter.opened.source.base).network())
    assert abs(bare - adapter.dense) > 1e-3  # so that an adapter that is not applied is seen


def test_what_is_measured_is_what_peft_makes_of_the_written_adapter(adapter, tmp_path):
    row = adapter.row(SHRUNK, weights=tmp_path / "out")
    network = adapted(tmp_path / "base", tmp_path / "out")
    assert row.score == pytest.approx(adapter.score(network), abs=1e-6)
    assert row.delta == pytest.approx(row.score - adapter.dense, abs=1e-9)
    assert same(compare_update(adapter.given(SHRUNK), Quiet()).made.network, network)
    factors = load_file(tmp_path / "out" / "adapter_model.safetensors")
    assert row.linear_numbers == size(factors) <= 0.5 * row.of_linear_numbers
    assert row.bytes == (tmp_path / "out" / "adapter_model.safetensors").stat().st_size
    before = adapter.opened.source.path / "adapter_model.safetensors"
    assert row.of_linear_numbers == size(load_file(before))
    assert row.of_bytes == before.stat().st_size
    base = sum(p.numel() for p in tiny("llama").parameters())
    assert row.of_model_numbers == base + row.of_linear_numbers
    assert row.model_numbers == base + row.linear_numbers
    record = json.loads((tmp_path / "out" / "trial.json").read_text())
    assert (record["method"], record["base"]) == ("lora_shrink", "base")
    # The folder opens as an adapter of the base that lies beside it.
    assert OpenedModel.open(tmp_path / "out").source.kind == "adapter"


def test_every_layer_says_its_ranks_and_what_they_keep(adapter):
    before = adapters.added(tiny("llama"), adapter.opened.source.path)
    dense = adapter.opened.network().state_dict()
    names = {ref.label.layer: ref.tensor for ref in adapter.opened.source.matrices()}
    layers = json.loads(adapter.row(SHRUNK).layers)
    assert {layer["rank_before"] for layer in layers} == {3, 5}
    assert {layer["rank"] for layer in layers} - {3, 5}
    for layer in layers:
        name, k = names[layer["layer"]], layer["rank"]
        squares = torch.linalg.svdvals(before[name]).square()
        assert layer["energy"] == pytest.approx(
            (squares[:k].sum() / squares.sum()).item(), rel=1e-5
        )
        lost = squares[k:].sum().sqrt() / dense[name].double().norm()
        assert layer["error"] == pytest.approx(lost.item(), rel=1e-4, abs=1e-6)
        assert layer["numbers"] == k * sum(dense[name].shape)
    assert 0 in {
        layer["numbers"] for layer in json.loads(adapter.row(Spec("lora_shrink", kept=0.1)).layers)
    }


def test_a_rank_is_every_modules(adapter):
    row = adapter.row(Spec("lora_shrink", {"rank": "2"}))
    assert {layer["rank"] for layer in json.loads(row.layers)} == {2}
    assert row.nominal is None
    assert row.speed_at == "merged: same shapes"
    assert row.latency is None


def test_shrinking_never_forms_the_update(adapter, monkeypatch):
    def formed(*_):
        raise AssertionError("an update was formed whole")

    monkeypatch.setattr(LowRank, "rows", formed)
    assert adapter.row(SHRUNK).linear_numbers > 0


@pytest.mark.parametrize("method", ["lora_shrink", "lora_extract"])
def test_layers_that_were_not_chosen_keep_their_updates(adapter, tmp_path, method):
    chosen = ("blocks.0.q", "blocks.1.v")
    some = replace(adapter.opened, layers=chosen, all_layers=False)
    before = adapters.added(tiny("llama"), adapter.opened.source.path)
    names = {ref.label.layer: ref.tensor for ref in adapter.opened.source.matrices()}
    assert set(chosen) < set(names)
    given = adapter.given(Spec(method, {"rank": "1"}), weights=tmp_path / "out")
    [row] = trial(replace(given, opened=some), Quiet())
    after = adapters.added(tiny("llama"), tmp_path / "out")
    for layer, name in names.items():
        U, s, Vt = torch.linalg.svd(before[name], full_matrices=False)
        best = U[:, :1] * s[:1] @ Vt[:1] if layer in chosen else before[name]
        assert torch.allclose(after[name], best, atol=1e-5 * s[0].item())
    # Shares are of the two; the file, its bytes and the whole model hold the others too.
    layers = json.loads(row.layers)
    assert {layer["layer"] for layer in layers} == set(chosen)
    shapes = [before[names[layer]].shape for layer in chosen]
    assert row.linear_numbers == sum(sum(shape) for shape in shapes)
    held = size(load_file(tmp_path / "out" / "adapter_model.safetensors"))
    whole = size(load_file(adapter.opened.source.path / "adapter_model.safetensors"))
    ranks = {layer["layer"]: layer["rank_before"] for layer in layers}
    if method == "lora_shrink":
        assert {layer: ranks[layer] for layer in chosen} == {"blocks.0.q": 3, "blocks.1.v": 5}
        own = sum(ranks[i] * sum(shape) for i, shape in zip(chosen, shapes, strict=True))
        assert row.of_linear_numbers == own
        base = sum(p.numel() for p in tiny("llama").parameters())
        assert row.of_model_numbers == base + whole
        assert held == whole - own + row.linear_numbers
    else:
        assert row.of_linear_numbers == sum(before[names[layer]].numel() for layer in chosen)
    assert row.model_numbers == sum(p.numel() for p in tiny("llama").parameters()) + held
    assert row.bytes == (tmp_path / "out" / "adapter_model.safetensors").stat().st_size
    assert f"keep all of their updates: {held - row.linear_numbers:,} numbers" in row.notes


def test_a_share_is_of_the_chosen_layers_and_spent_on_them(adapter):
    some = replace(adapter.opened, layers=("blocks.0.q",), all_layers=False)
    with pytest.raises(BadInput, match="of the chosen layers of adapter hold no direction"):
        trial_of(adapter, some, Spec("lora_shrink", kept=0.3))
    [row] = trial_of(adapter, some, Spec("lora_shrink", kept=0.4))
    assert [layer["rank"] for layer in json.loads(row.layers)] == [1]
    assert row.kept_linear == pytest.approx(1 / 3)


def test_a_fused_projection_is_chosen_with_all_of_its_parts(tmp_path):
    trials = Trials(tmp_path, fused(tmp_path))
    parts = ("blocks.0.q", "blocks.0.k", "blocks.0.v")
    some = replace(trials.opened, layers=parts[:2], all_layers=False)
    with pytest.raises(BadInput, match=r"with blocks\.0\.k, blocks\.0\.q choose blocks\.0\.v too"):
        trial_of(trials, some)
    for layers in (parts, ("blocks.0.qkv",)):
        [row] = trial_of(trials, replace(trials.opened, layers=layers, all_layers=False))
        assert [one["layer"] for one in json.loads(row.layers)] == ["blocks.0.qkv"]


def fused(folder):
    """An adapter of GPT-2's fused projection."""
    on_disk(folder / "base", "gpt2")
    adapters.save("lora", tiny("gpt2"), folder / "adapter", target_modules=["c_attn"])
    return OpenedModel.open(folder / "adapter", base=str(folder / "base"))


def test_a_text_that_holds_what_separates_documents_is_warned_of(adapter):
    text = written(adapter.folder, f"{TEXT} <|endoftext|> {TEXT}", "marked.txt")
    params = replace(adapter.params, evaluate=text)
    list(evaluation_stage(adapter.opened, params, adapter.folder / "marked", Quiet()))
    row = adapter.row(SHRUNK, params=params, dense=adapter.folder / "marked")
    assert "marked.txt holds <|endoftext|> once, where preset" in row.warnings
    assert "<|endoftext|>" not in adapter.row(SHRUNK).warnings


def test_a_record_names_each_text_once_and_none_that_nothing_was_calibrated_on(adapter):
    told = {"texts": {"calibrate": "ab", "evaluate": "stale", "choice": "cd"}}
    record = json.loads(adapter.row(SHRUNK, record=told).record)
    content = Path(adapter.params.evaluate).read_bytes()
    own = hashlib.sha256(content).hexdigest()
    assert record["texts"] == {"evaluate": own, "choice": "cd"}
    assert json.dumps(record).count(own) == 1


@pytest.mark.parametrize(
    ("settings", "allocation", "objective"),
    [
        ({}, "uniform", "relative"),
        ({"budget": "relative"}, "greedy", "relative"),
        ({"budget": "total"}, "greedy", "total"),
        ({"rank": "2"}, "uniform", ""),
    ],
)
def test_a_row_and_its_record_say_how_the_share_was_spent(adapter, settings, allocation, objective):
    row = adapter.row(Spec("lora_shrink", settings, kept=None if "rank" in settings else 0.5))
    assert (row.allocation, row.objective) == (allocation, objective)
    own = json.loads(row.record)["method_settings"]
    assert own == {
        "rank": int(settings.get("rank", 0)),
        "budget": settings.get("budget", "uniform"),
    }


def test_factors_are_measured_as_the_file_rounds_them(adapter, tmp_path):
    path = adapter.opened.source.path / "adapter_model.safetensors"
    coarse = {name: tensor.bfloat16() for name, tensor in load_file(path).items()}
    save_file(coarse, path, metadata={"format": "pt"})
    again = Trials(tmp_path, OpenedModel.open(path.parent))
    row = again.row(SHRUNK, weights=tmp_path / "out")
    kept = load_file(tmp_path / "out" / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in kept.values()} == {torch.bfloat16}
    network = adapted(tmp_path / "base", tmp_path / "out")
    assert row.score == pytest.approx(again.score(network), abs=1e-6)
    wide = again.row(SHRUNK, params=replace(again.params, dtype="float32"))
    # A small file is its header first of all: that is the same but for the words of the dtype.
    assert wide.bytes - row.bytes == pytest.approx(2 * row.linear_numbers, abs=64)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_whole_difference_is_the_tuned_model(family, tmp_path):
    trials = Trials(tmp_path, tuned(tmp_path, family))
    row = trials.row(Spec("lora_extract", {"rank": "3"}), weights=tmp_path / "out")
    assert row.delta == pytest.approx(0, abs=1e-6)
    bare = trials.score(OpenedModel(trials.opened.source.base).network())
    assert abs(bare - trials.dense) > 1e-3
    assert same(adapted(tmp_path / "base", tmp_path / "out"), trials.opened.network())
    weights = load_file(tmp_path / "tuned" / "model.safetensors")
    changed = [weights[f"{PREFIX[family]}.{module}.weight"] for module in CHANGED[family]]
    assert row.of_linear_numbers == sum(W.numel() for W in changed)
    assert row.of_bytes == 4 * row.of_linear_numbers
    assert row.linear_numbers == sum(3 * sum(W.shape) for W in changed)
    base = sum(p.numel() for p in tiny(family).parameters())
    assert row.kept_model == pytest.approx((base + row.linear_numbers) / base)
    assert len(json.loads(row.layers)) == 3  # what training left alone is not there
    assert "matrices that differ from base" in row.notes
    assert "\n" not in row.notes
    assert (row.beside, row.warnings) == ("whole update", "")


def test_what_no_lora_carries_has_the_bases_values(tmp_path):
    left = [NORM["llama"], EMBEDDING["llama"]]
    trials = Trials(tmp_path, tuned(tmp_path, "llama", left))
    row = trials.row(Spec("lora_extract", {"rank": "3"}))
    network = trials.opened.network()
    base = load_file(tmp_path / "base" / "model.safetensors")
    with torch.no_grad():
        for name in left:
            network.get_parameter(name).copy_(base[name])
    assert row.score == pytest.approx(trials.score(network), abs=1e-6)
    assert abs(row.delta) > 1e-3
    for name in left:
        assert name in row.warnings
    assert "have the base's values" in row.warnings


def test_another_type_of_adapter_is_extracted(tmp_path):
    on_disk(tmp_path / "base", "llama")
    adapters.save("dora", tiny("llama"), tmp_path / "adapter")
    trials = Trials(tmp_path, OpenedModel.open(tmp_path / "adapter", base=str(tmp_path / "base")))
    row = trials.row(Spec("lora_extract", {"rank": "16"}))
    assert row.delta == pytest.approx(0, abs=1e-6)
    assert row.linear_numbers > row.of_linear_numbers
    assert "larger than what it stands for" in row.warnings
    with pytest.raises(BadInput, match="lora_shrink takes no update of adapter"):
        trials.row(SHRUNK)


def test_exports_are_the_adapter_and_the_base_with_it(adapter, tmp_path):
    adapter.row(SHRUNK, weights=tmp_path / "out")
    expected = adapted(tmp_path / "base", tmp_path / "out")
    for form in ("factored", "adapter"):
        with zipfile.ZipFile(
            export(adapter.opened, tmp_path / "out", form, tmp_path / form)
        ) as file:
            names = {Path(name).name for name in file.namelist()}
        assert names == {"adapter_config.json", "adapter_model.safetensors", "trial.json"}
    path = export(adapter.opened, tmp_path / "out", "merged", tmp_path / "merged")
    with zipfile.ZipFile(path) as file:
        file.extractall(tmp_path / "plain")
    [folder] = (tmp_path / "plain").iterdir()
    network = transformers.AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    assert same(network, expected)
    assert (folder / "tokenizer.json").exists()


def test_a_sweeps_words_are_sizes_or_one_rank():
    params = Params(
        methods="lora_shrink, lora_extract:rank=4", kept="0.5, 0.25", allocations="uniform, greedy"
    )
    found = expand(params)
    assert [spec.label for spec in found] == [
        "lora_shrink, 50 %", "lora_shrink, 25 %", "lora_extract:rank=4",
    ]  # fmt: skip
    assert [spec.kept for spec in found] == [0.5, 0.25, None]
    assert find("lora_shrink").updates == ("adapter",)


def test_what_an_update_cannot_be_is_a_sentence(adapter, tmp_path):
    for more, words in (
        ({"recovery_steps": 3}, "no recovery"),
        ({"ranks": "{}"}, "no ranks by hand"),
    ):
        with pytest.raises(BadInput, match=words):
            adapter.row(SHRUNK, params=replace(adapter.params, **more))
    with pytest.raises(BadInput, match="no compensation"):
        adapter.row(replace(SHRUNK, compensation="eora"))
    with pytest.raises(BadInput, match="hold no direction"):
        adapter.row(replace(SHRUNK, kept=0.001))
    with pytest.raises(BadInput, match="leave budget out, or rank"):
        adapter.row(Spec("lora_shrink", {"rank": "2", "budget": "total"}))
    pair = Trials(tmp_path / "pair", tuned(tmp_path / "pair", "llama"))
    one = replace(pair.opened, layers=("blocks.0.q",), all_layers=False)
    with pytest.raises(BadInput, match="as two factors larger than the layer; choose all of them"):
        trial_of(pair, one, EXTRACTED)
    with pytest.raises(BadInput, match="use lora_extract"):
        pair.row(SHRUNK)
    with pytest.raises(BadInput, match="is a whole model"):
        trial_of(pair, OpenedModel(pair.opened.source.base))
    base = pair.opened.source.base
    grown = replace(pair.opened.source, config=base.config | {"vocab_size": 99})
    with pytest.raises(BadInput, match="99 tokens"):
        trial_of(pair, OpenedModel(grown), EXTRACTED)


def trial_of(trials, opened, spec=SHRUNK):
    return list(trial(replace(trials.given(spec), opened=opened), Quiet()))


def test_a_factor_beyond_the_files_dtype_fails_by_its_name(adapter, tmp_path):
    path = adapter.opened.source.path / "adapter_model.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if "lora_B" in name)
    tensors = {n: t.half() for n, t in tensors.items()}
    A = name.replace("lora_B", "lora_A")
    # Each fits float16; the balanced factors are as large as both together.
    tensors[name], tensors[A] = tensors[name] * 0 + 6e4, tensors[A] * 0 + 6e4
    save_file(tensors, path, metadata={"format": "pt"})
    opened = OpenedModel.open(path.parent)
    with pytest.raises(
        NonFiniteLayer, match=name.split(".lora")[0].removeprefix("base_model.model.")
    ):
        trial_of(adapter, opened)


def test_a_method_for_updates_says_which():
    with pytest.raises(ValueError, match="`updates`"):
        register(title="x", paper="", sizes="update")
    with pytest.raises(ValueError, match="`updates`"):
        register(title="x", paper="", updates=("adapter",))
