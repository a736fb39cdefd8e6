"""Adapters: the update of every layer is what the merged model has more than its base."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from analysis import sample
from analysis.sample.adapter import BASE_NAME
from analysis.weights import (
    BadModel,
    MatrixRef,
    files_of,
    fingerprint,
    load,
    matrix_key,
    open_model,
)
from analysis.weights.adapters import BY_INPUT, NO_WEIGHT, OF_ALL_LAYERS, SHARING
from analysis.weights.folders import SAMPLE
from analysis.weights.lora import is_plain
from analysis.weights.matrix import Matrix
from tests.analysis.weights import adapters, families

LLAMA = {"model.layers.0.self_attn.q_proj.weight", "model.layers.1.mlp.down_proj.weight"}
# PEFT asks transformers for a property by its old name.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")


@pytest.fixture
def made(family, tmp_path):
    """Save an adapter beside its base; return its folder."""

    def make(kind, name="llama", **changes):
        base, _ = family(name)
        adapters.save(kind, families.made(name), tmp_path / kind, **changes)
        change_config(tmp_path / kind, base_model_name_or_path=str(base))
        return tmp_path / kind

    return make


def change_config(folder, **changes):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def matrix_of(ref):
    again = MatrixRef.from_dict(json.loads(json.dumps(ref.to_dict())))
    assert again == ref
    return Matrix(load(again), again.label, matrix_key(again, fingerprint(again)))


def shown(ref, stored):
    """Return what the base's own view shows of a stored tensor: the naive reading of a view."""
    axes = [[span.index(i) for i in range(span.length)] for span in ref.view.spans]
    chosen = stored[np.ix_(*axes)]
    return chosen.movedim(ref.view.row_axis, 0).reshape(ref.shape)


@pytest.mark.parametrize("kind", adapters.TYPES)
def test_every_update_is_merged_minus_base(kind, made):
    folder = made(kind)
    expected = adapters.added(families.made("llama"), folder)
    source = open_model(folder)
    refs = source.matrices()
    largest = max(value.abs().max() for value in expected.values())

    assert {ref.tensor for ref in refs} == set(expected) >= LLAMA
    assert (source.kind, source.base.architecture) == ("adapter", "LlamaForCausalLM")
    for ref in refs:
        matrix = matrix_of(ref)
        # PEFT merges its LoRA factors in float64 here; what is left is the sum's own rounding.
        error = (matrix.dense() - expected[ref.tensor]).abs().max()
        assert error < 1e-13 * (1 + largest), ref.label
        exact = np.linalg.svd(expected[ref.tensor].numpy(), compute_uv=False)
        assert matrix.spectrum().values == pytest.approx(exact, rel=1e-6, abs=1e-12)
        floor = matrix.spectrum().noise_floor
        assert 0 < floor < 1e-3 * exact[0]


@pytest.mark.parametrize("kind", ["lora", "dora", "fourierft", "ia3"])
@pytest.mark.parametrize("fan_in_fan_out", [False, True])
def test_gpt2_stores_inputs_by_outputs(kind, fan_in_fan_out, made):
    targets = ["c_attn", "attn.c_proj", "mlp.c_fc"]  # attn.c_proj is square: no shape tells
    changes = {"feedforward_modules": ["mlp.c_fc"]} if kind == "ia3" else {}
    changes |= {"fan_in_fan_out": fan_in_fan_out}
    folder = made(kind, "gpt2", target_modules=targets, **changes)
    expected = adapters.added(families.made("gpt2"), folder)
    refs = open_model(folder).matrices(heads=True)

    assert {ref.label.module for ref in refs} == {"qkv", "q", "k", "v", "o", "up"}
    for ref in refs:
        assert load(ref).rows(0, ref.shape[0]).numpy() == pytest.approx(
            shown(ref, expected[ref.tensor]).numpy(), abs=1e-13
        )


def test_layers_have_the_names_kinds_and_views_of_the_base(made):
    source = open_model(made("lora", "gpt2", target_modules=["c_attn"]))
    labels = {ref.label.layer: ref.label for ref in source.matrices(heads=True)}
    base = {ref.label.layer: ref.label for ref in source.base.matrices(heads=True)}

    assert [labels[f"blocks.0.{name}"].view for name in ("qkv", "q")] == ["delta", "delta part q"]
    assert labels["blocks.1.v[head 2]"].view == "delta head 2"
    for layer, label in labels.items():
        assert (label.kind, label.module, label.block, label.tensor) == (
            base[layer].kind, base[layer].module, base[layer].block, base[layer].tensor
        )  # fmt: skip


def test_a_base_may_lack_the_prefix_that_the_adapter_knows(family, made, tmp_path):
    folder = made("lora", "gpt2", target_modules=["c_attn"])
    tensors = load_file(family("gpt2")[0] / "model.safetensors")
    bare = {name.removeprefix("transformer."): value for name, value in tensors.items()}
    save_file(bare, tmp_path / "bare.safetensors")
    shutil.copy(family("gpt2")[0] / "config.json", tmp_path)
    found = open_model(folder, base=tmp_path / "bare.safetensors").matrices()

    assert [r.label.layer for r in found] == [r.label.layer for r in open_model(folder).matrices()]
    assert [matrix_of(r).key for r in found] == [
        matrix_of(r).key for r in open_model(folder).matrices()
    ]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("kind", ["loha", "hra", "ia3", "vera"])
def test_the_floor_bounds_what_rounding_the_adapter_does(kind, dtype, made):
    folder = made(kind)
    path = folder / "adapter_model.safetensors"
    # Digits that float32 would round away.
    draw = torch.Generator().manual_seed(5)
    exact = {
        n: v * (1 + 2.0**-24 * torch.rand(v.shape, generator=draw, dtype=torch.float64))
        for n, v in load_file(path).items()
    }
    stored = {n: v.to(dtype) for n, v in exact.items()}
    save_file(stored, path)
    source = open_model(folder)
    ref = next(ref for ref in source.matrices() if ref.label.layer == "blocks.1.v")
    merged = load(ref)
    floor, name = merged.error()
    difference = merged._made(
        {p.tensor: exact[p.tensor] for p in ref.update.parts[1:]}
    ) - merged.rows(0, 99)
    actual = torch.linalg.matrix_norm(difference, 2).item()

    assert name == str(dtype).removeprefix("torch.")
    assert actual < floor < 100 * actual


@pytest.mark.parametrize("kind", ["lora", "loha"])
def test_an_embedding_and_a_kernel(kind, tmp_path):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.token_embedding = nn.Embedding(20, 6)
            self.conv = nn.Conv2d(6, 10, 3)

        def forward(self, ids):
            return self.conv(self.token_embedding(ids))

    torch.manual_seed(0)
    net = Net()
    save_file(net.state_dict(), tmp_path / "model.safetensors")
    targets = ["token_embedding", "conv"] if kind == "lora" else ["conv"]
    adapters.save(kind, net, tmp_path / "adapter", target_modules=targets)
    torch.manual_seed(0)
    expected = adapters.added(Net(), tmp_path / "adapter")
    refs = open_model(tmp_path / "adapter", base=tmp_path / "model.safetensors").matrices(
        slices=True
    )

    assert {ref.tensor for ref in refs} == {f"{name}.weight" for name in targets}
    assert {"delta flattened", "delta slice 1,2"} <= {ref.label.view for ref in refs}
    for ref in refs:
        assert load(ref).rows(0, ref.shape[0]).numpy() == pytest.approx(
            shown(ref, expected[ref.tensor]).numpy(), abs=1e-6
        )


def test_a_low_rank_update_is_never_formed_whole(made, monkeypatch):
    [ref] = [r for r in open_model(made("lora")).matrices() if r.label.layer == "blocks.0.down"]
    matrix = matrix_of(ref)
    B, A = matrix.factors()

    assert (B.shape, A.shape) == ((32, 3), (3, 48))
    torch.testing.assert_close(B @ A, matrix.dense())
    assert matrix.stored_bytes == (32 * 3 + 3 * 48) * 4
    monkeypatch.setattr("analysis.numerics.low_rank.LowRank.rows", None)
    assert (matrix_of(ref).spectrum().values > matrix.spectrum().noise_floor).sum() == 3


def test_an_adapter_describes_itself(made):
    source = open_model(made("rslora"))
    [first, *_] = source.tensors()

    assert source.name == "rslora"
    assert source.parameters == 2 * 3 * ((32 + 32) + (32 + 16) + (48 + 32))
    assert source.bytes == 4 * source.parameters
    assert source.architecture == "LORA of LlamaForCausalLM"
    assert source.notes[0] == "LORA, rank 3, alpha 7, use_rslora, of down_proj q_proj v_proj"
    assert str(source.base.path) in source.notes[1]
    assert (source.dtype, source.blocks) == ("float32", 2)
    assert (first.layer, first.state) == ("blocks.0.q", "matrix")
    assert first.reason == "changes model.layers.0.self_attn.q_proj.weight"


def test_an_untrained_adapter_changes_nothing(family, tmp_path):
    import peft

    base, _ = family("llama")
    config = peft.LoraConfig(r=2, target_modules=["q_proj"])
    peft.get_peft_model(families.made("llama"), config).save_pretrained(tmp_path)
    for ref in open_model(tmp_path, base=base).matrices():
        assert not matrix_of(ref).spectrum().values.any()


def test_weights_that_an_adapter_holds_whole_are_compared(made):
    folder = made("lora", modules_to_save=["lm_head"])
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    tensors["base_model.model.lm_head.weight"] = families.made("llama").lm_head.weight.detach() + 1
    tensors["base_model.model.model.norm.weight"] = torch.ones(32)
    tensors["stray"] = torch.ones(2, 2)
    tensors["base_model.model.model.layers.0.self_attn.q_proj.lora_B.bias"] = torch.ones(32)
    save_file(tensors, path)
    source = open_model(folder)
    [head] = [ref for ref in source.matrices() if ref.tensor == "lm_head.weight"]
    reasons = {info.name: info.reason for info in source.tensors() if info.state == "skipped"}

    assert head.label.view == "delta"
    assert matrix_of(head).dense() == pytest.approx(torch.ones(64, 32).double(), abs=1e-6)
    line = "one-dimensional (a norm or a bias)"
    assert reasons == {
        "base_model.model.model.norm.weight": line,
        "base_model.model.model.layers.0.self_attn.q_proj.lora_B.bias": line,
        "stray": "belongs to no module of the base",
    }


def test_the_base_is_found_by_its_name(family, made, tmp_path, monkeypatch):
    folder = made("lora")
    base, _ = family("llama")
    beside, inside = tmp_path / "the-base", tmp_path / "work" / "by-cwd"
    shutil.copytree(base, beside)
    shutil.copytree(base, inside)
    monkeypatch.chdir(tmp_path / "work")
    for name, place in {
        "../the-base": beside,
        "someone/the-base": beside,
        "by-cwd": inside,
        str(base): base,
    }.items():
        change_config(folder, base_model_name_or_path=name)
        assert open_model(folder).base.path.resolve() == place.resolve()
    assert open_model(folder, base=beside).base.path == beside


@pytest.mark.parametrize("name", ["owner/not-here", "/nowhere/at/all"])
def test_a_base_that_is_not_found_is_named(name, made):
    folder = made("lora")
    change_config(folder, base_model_name_or_path=name)
    with pytest.raises(BadModel, match=rf"the base model of .*lora is {name}.*--base MODEL"):
        open_model(folder)
    change_config(folder, base_model_name_or_path=None)
    with pytest.raises(BadModel, match=r"lora does not name its base model.*--base MODEL"):
        open_model(folder)


def test_another_model_is_no_base(family, made):
    folder = made("lora")
    wide, other = family("qwen3")[0], family("gpt2")[0]
    with pytest.raises(
        BadModel,
        match=r"made for another model: model.layers.0.self_attn.q_proj is 32 x 32 there and "
        rf"64 x 32 in {wide}: give its base with --base",
    ):
        open_model(folder, base=wide)
    with pytest.raises(
        BadModel, match=rf"{other} has no model.layers.0.*give its base with --base"
    ):
        open_model(folder, base=other)


@pytest.mark.parametrize("kind", ["loha", "vera"])
def test_another_model_is_no_base_of_what_peft_merges(kind, family, made):
    folder = made(kind)
    ref = open_model(folder, base=family("qwen3")[0]).matrices()[0]
    with pytest.raises(BadModel, match=r"PEFT cannot make the update of model.layers.*--base"):
        load(ref).rows(0, 1)


def test_an_adapter_is_no_base(made):
    folder = made("lora")
    with pytest.raises(BadModel, match=r"is itself an adapter, of .*--base MODEL"):
        open_model(folder, base=folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"peft_type": "PREFIX_TUNING"}, "changes no weight"),
        ({"peft_type": "XLORA"}, "depends on each input"),
        ({"peft_type": "FROD"}, "depends on all layers"),
        ({"peft_type": None}, "does not say its type"),
        ({"layer_replication": [[0, 1], [0, 2]]}, "repeats layers"),
    ],
)
def test_what_has_no_update_says_why(changes, words, made):
    folder = made("lora")
    change_config(folder, **changes)
    with pytest.raises(BadModel, match=words):
        open_model(folder)


def test_half_an_adapter_says_what_is_missing(made):
    folder = made("lora")
    (folder / "adapter_config.json").rename(folder / "kept.json")
    with pytest.raises(BadModel, match=r"no adapter_config.json: copy that as well"):
        open_model(folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text("[]")
    with pytest.raises(BadModel, match="is no JSON object"):
        open_model(folder)
    (folder / "kept.json").rename(folder / "adapter_config.json")
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(BadModel, match=r"no adapter_model.safetensors"):
        open_model(folder)


def test_a_pickled_adapter_needs_leave(made):
    folder = made("lora")
    safe = [matrix_of(ref).key for ref in open_model(folder).matrices()]
    tensors = load_file(folder / "adapter_model.safetensors")
    torch.save(tensors, folder / "adapter_model.bin")
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(BadModel, match="--allow-pickle"):
        open_model(folder)
    pickled = open_model(folder, allow_pickle=True).matrices()
    assert [matrix_of(ref).key for ref in pickled] == safe


def test_checkpoints_of_an_adapter_are_a_series(made, tmp_path):
    folder = made("lora")
    for step in (5, 10):
        shutil.copytree(folder, tmp_path / "run" / f"checkpoint-{step}")
    source = open_model(tmp_path / "run")
    assert (source.kind, [step.number for step in source.steps]) == ("adapter", [5, 10])
    assert source.at(5).matrices()[0].label == source.matrices()[0].label


@pytest.mark.parametrize("kind", ["lora", "vera"])
def test_keys_depend_on_all_that_the_numbers_do(kind, family, made, tmp_path):
    def keys(folder):
        return {ref.label.layer: matrix_of(ref).key for ref in open_model(folder).matrices()}

    folder = made(kind)
    before = keys(folder)
    assert len(set(before.values())) == len(before)
    moved = shutil.copytree(folder, tmp_path / "moved")
    assert keys(moved) == before
    change_config(moved, lora_alpha=99, vera_dropout=0.5)
    assert not set(keys(moved).values()) & set(before.values())
    tensors = load_file(folder / "adapter_model.safetensors")
    [name] = [
        n
        for n in tensors
        if "layers.0.self_attn.q_proj" in n and n.endswith(("lora_A.weight", "_d"))
    ]
    tensors[name][0] += 1
    save_file(tensors, folder / "adapter_model.safetensors")
    assert {layer for layer, key in keys(folder).items() if before[layer] != key} == {"blocks.0.q"}


def test_the_files_of_an_update(family, made):
    base, _ = family("llama")
    [lora, *_] = open_model(made("lora")).matrices()
    [loha, *_] = open_model(made("loha")).matrices()
    assert [path.parent.name for path in files_of(lora)] == ["lora"]
    assert [path.parent.name for path in files_of(loha)] == [base.name, "loha"]


def test_damaged_factors_have_no_spectrum(made):
    folder = made("lora")
    tensors = load_file(folder / "adapter_model.safetensors")
    for name in tensors:
        tensors[name][0, 0] = float("nan")
    save_file(tensors, folder / "adapter_model.safetensors")
    with pytest.raises(Exception, match="holds NaN or infinity"):
        matrix_of(open_model(folder).matrices()[0]).spectrum()


def test_the_bundled_adapter_opens_on_the_bundled_model():
    source = open_model(sample.ADAPTER)
    refs = source.matrices()

    assert SAMPLE == BASE_NAME
    assert source.base.path == sample.MODEL
    assert open_model(sample.ADAPTER, base="sample").base.path == sample.MODEL
    assert {ref.label.module for ref in refs} == {"q", "v"}
    assert len(refs) == 2 * source.base.blocks
    for ref in refs:
        own = matrix_of(ref).spectrum()
        assert (own.values > own.noise_floor).sum() == 8
        assert (own.values[8:] == 0).all()


def test_the_tables_of_types_know_pefts():
    from peft import PeftType
    from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING

    known = {kind.value for kind in PeftType}
    assert known >= NO_WEIGHT | BY_INPUT | OF_ALL_LAYERS | SHARING
    sharing = {
        k.value
        for k, tuner in PEFT_TYPE_TO_TUNER_MAPPING.items()
        if getattr(tuner, "uses_shared_state", False)
    }
    assert sharing <= SHARING | OF_ALL_LAYERS


@pytest.mark.parametrize("kind", ["dora", "pissa", "olora", "loha"])
def test_what_takes_something_out_of_the_base_is_not_two_factors(kind, made):
    assert not is_plain(json.loads((made(kind) / "adapter_config.json").read_text()))
