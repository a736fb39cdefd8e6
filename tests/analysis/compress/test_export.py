"""Exported models answer as the network that was exported, also where rankscope is not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch import nn

os.environ["HF_HUB_OFFLINE"] = "1"

from analysis.compress import forms as kinds
from analysis.compress.export import remote
from analysis.compress.export.compensation import write_compensation
from analysis.compress.export.factored import write_factored
from analysis.compress.export.folder import NotEmpty
from analysis.compress.export.merged import write_merged
from analysis.compress.export.tensors import predicted_bytes
from analysis.compress.lora.adapter import NothingToWrite
from analysis.compress.pieces import NonFiniteLayer
from analysis.networks.errors import NotRunnable
from tests.analysis.compress.exports import compressed, logits
from tests.analysis.tiny_transformers import window

FAMILIES = {"llama": torch.float32, "gpt2": torch.float16, "bert": torch.float32}
AUTO = {
    "llama": "AutoModelForCausalLM",
    "gpt2": "AutoModelForCausalLM",
    "bert": "AutoModelForMaskedLM",
}
RECORD = {
    "method": "svd", "date": "2026-01-02T03:04:05", "base": "tiny", "nominal": 0.5,
    "settings": {"text": "/home/someone/texts/wiki.txt", "windows": 4}, "ranks": {"blocks.0.q": 4},
    "texts": {"evaluate": "ab", "calibrate": None},
}  # fmt: skip
IDS = torch.stack([window(11), window(11, seed=1)])
FRESH = """
import json, sys, torch, transformers
from safetensors.torch import save_file
cases, out = json.loads(sys.argv[1]), {}
ids = torch.tensor(json.loads(sys.argv[2]))
for name, (folder, auto, trusted) in cases.items():
    model = getattr(transformers, auto).from_pretrained(
        folder, trust_remote_code=trusted, dtype=torch.float32, attn_implementation="eager"
    )
    model.config.use_cache = False  # as in the network: a cache lays out keys another way
    with torch.no_grad():
        out[name] = model(input_ids=ids)[0]
    model.config.use_cache = True
    if "Causal" in auto:
        out[name + " tokens"] = model.generate(
            ids[:1, :3], max_new_tokens=8, min_new_tokens=8, do_sample=False, pad_token_id=0
        )
assert "analysis" not in sys.modules
save_file(out, sys.argv[3])
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Each family's opened source, network with forms, forms by path and folder of exports."""
    made = {}
    for family, dtype in FAMILIES.items():
        folder = tmp_path_factory.mktemp(family)
        opened, network, found = compressed(family, folder / "base", dtype)
        for name, write in (("factored", write_factored), ("merged", write_merged)):
            kept = torch.float32 if name == "merged" else dtype
            write(folder / name, opened.source, network, found, kept, RECORD)
        made[family] = (opened, network, found, folder)
    return made


@pytest.fixture(scope="module")
def fresh(models, tmp_path_factory):
    """What a process that knows nothing of this package computes with each export."""
    place = tmp_path_factory.mktemp("fresh")
    cases = {
        f"{family} {name}": (str(folder / name), AUTO[family], name == "factored")
        for family, (*_, folder) in models.items()
        for name in ("factored", "merged")
    }
    known = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(
        [sys.executable, "-c", FRESH, json.dumps(cases), json.dumps(IDS.tolist()), place / "out"],
        check=True, capture_output=True, text=True, cwd=place,
        env=known | {"HF_MODULES_CACHE": str(place / "modules"), "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    return load_file(place / "out")


def own_tokens(network):
    network.config.use_cache = True
    found = network.generate(
        IDS[:1, :3], max_new_tokens=8, min_new_tokens=8, do_sample=False, pad_token_id=0
    )
    network.config.use_cache = False
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_a_fresh_process_computes_the_very_same_from_factors(models, fresh, family):
    network = models[family][1]
    assert torch.equal(fresh[f"{family} factored"], logits(network, IDS))
    if "Causal" in AUTO[family]:
        assert torch.equal(fresh[f"{family} factored tokens"], own_tokens(network))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_fresh_process_computes_nearly_the_same_merged(models, fresh, family):
    expected = logits(models[family][1], IDS)
    error = (fresh[f"{family} merged"] - expected).abs().max()
    assert error <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_tensor_is_stored_once_in_exactly_the_predicted_bytes(models, family):
    opened, network, found, folder = models[family]
    dtype = FAMILIES[family]
    stored = load_file(folder / "factored" / "model.safetensors")
    unique = [*network.parameters()]  # torch lists shared ones once
    floats = [t for t in stored.values() if t.is_floating_point()]
    assert sum(t.numel() for t in floats) == sum(p.numel() for p in unique)
    assert {t.dtype for t in floats} == {dtype}
    assert ("lm_head.weight" in stored) == (family == "llama")
    assert not any(name.startswith("cls.predictions.decoder") for name in stored)

    size = (folder / "factored" / "model.safetensors").stat().st_size
    assert size == predicted_bytes(network, dtype)
    assert predicted_bytes(opened.network(), torch.float32) == (
        (folder / "merged" / "model.safetensors").stat().st_size
    )
    packed = found["model.layers.0.mlp.up_proj"] if family == "llama" else None
    if packed:
        key = "model.layers.0.mlp.up_proj.codes"
        assert stored[key].numel() == -(-packed.in_features * packed.out_features * 3 // 8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_predicted_bytes_of_other_tensors_are_those_of_the_library(tmp_path, dtype):
    from safetensors.torch import save_file

    from analysis.compress.export.tensors import METADATA, checked, held

    network = nn.Module()
    for i, other in enumerate((torch.int64, torch.bool, torch.int8, torch.float64, torch.uint8)):
        network.register_buffer(f"b{i}", torch.ones(3, i + 1).to(other))
    network.weight = nn.Parameter(torch.ones(1001, 3))
    network.Ünder = nn.Parameter(torch.ones(()))
    save_file(checked(held(network), dtype), tmp_path / "x", metadata=METADATA)
    assert predicted_bytes(network, dtype) == (tmp_path / "x").stat().st_size
    stored = load_file(tmp_path / "x")
    assert (stored["weight"].dtype, stored["b3"].dtype) == (dtype, torch.float64)


def test_a_merged_export_is_an_ordinary_checkpoint(models):
    for family, (opened, _, _, folder) in models.items():
        config = json.loads((folder / "merged" / "config.json").read_text())
        own = json.loads((folder / "base" / "config.json").read_text())
        assert config == own | {"dtype": "float32"}, family
        stored = load_file(folder / "merged" / "model.safetensors")
        dense = load_file(folder / "base" / "model.safetensors")
        assert {n: t.shape for n, t in stored.items()} == {n: t.shape for n, t in dense.items()}
        record = json.loads((folder / "merged" / "trial.json").read_text())
        assert record["export"] == "merged in float32"
        assert opened.source.config == own


def test_the_configuration_names_forms_classes_and_the_dense_model(models):
    _, network, found, folder = models["llama"]
    config = json.loads((folder / "factored" / "config.json").read_text())
    assert config["rankscope"] == {
        "version": 1,
        "base_architecture": "LlamaForCausalLM",
        "base_model_type": "llama",
        "forms": json.loads(json.dumps({path: form.spec() for path, form in found.items()})),
    }
    assert config["auto_map"].keys() == {"AutoConfig", "AutoModelForCausalLM"}
    assert config["hidden_size"] == network.config.hidden_size
    for name in ("tokenizer.json", "generation_config.json"):
        assert (folder / "factored" / name).read_bytes() == (folder / "base" / name).read_bytes()


def test_without_trust_nothing_is_loaded_rather_than_random_weights(models):
    folder = models["llama"][-1] / "factored"
    with pytest.raises(ValueError, match="trust_remote_code"):
        transformers.AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=False)


def test_the_modeling_file_has_the_forms_that_are_used_and_no_others(models):
    text = (models["bert"][-1] / "factored" / "modeling_rankscope.py").read_text()
    classes = {line.split("(")[0][6:] for line in text.splitlines() if line.startswith("class ")}
    assert classes == {
        "Form", "TwoFactor", "RowInterpolative", "Quantised",
        "RankscopeConfig", "RankscopeBertForMaskedLM",
    }  # fmt: skip
    assert "import analysis" not in text
    assert "from analysis" not in text


def test_all_forms_can_stand_in_one_modeling_file():
    names = remote.modules_for(kinds.KINDS)
    assert names == list(kinds.SOURCES)
    nested = {"kind": "parts", "parts": [{"kind": "linear"},
              {"kind": "compensated", "form": {"kind": "quantised"}}]}  # fmt: skip
    assert remote.kinds_in([nested]) == {"parts", "compensated", "quantised"}
    every = {kind: {"kind": kind} for kind in kinds.KINDS}
    text = remote.modeling_file(transformers.LlamaForCausalLM, "AutoModelForCausalLM", every)
    found = {"__name__": "modeling"}
    exec(compile(text, "modeling.py", "exec"), found)
    assert found["KINDS"].keys() == kinds.KINDS.keys()


def test_the_record_has_versions_and_names_no_place(models):
    text = (models["bert"][-1] / "factored" / "trial.json").read_text()
    record = json.loads(text)
    assert record["versions"].keys() == {"rankscope", "torch", "transformers", "python"}
    assert record["settings"] == {"text": "wiki.txt", "windows": 4}
    assert (record["export"], record["dtype"]) == ("factored", "float32")
    assert record["date"] == "2026-01-02T03:04:05"
    assert RECORD.keys() <= record.keys()
    assert str(Path.home()) not in text
    assert "/" not in text


@pytest.mark.parametrize("write", [write_factored, write_merged])
def test_what_the_type_cannot_hold_is_refused_before_anything_is_written(tmp_path, write):
    opened, network, found = compressed("bert", tmp_path / "base")
    path = "bert.encoder.layer.0.attention.self.query"
    with torch.no_grad():
        found[path].B[0, 0] = 1e6
        found[path].A[:, 0] = 1.0
    with pytest.raises(NonFiniteLayer, match=path):
        write(tmp_path / "out", opened.source, network, found, torch.float16, RECORD)
    assert not (tmp_path / "out").exists()


def test_refusals(models, tmp_path):
    opened, network, found, folder = models["bert"]
    given = opened.source, network, found, torch.float32, RECORD
    with pytest.raises(NotEmpty, match="not empty"):
        write_factored(folder / "base", *given)
    fewer = dict(list(found.items())[1:])
    with pytest.raises(ValueError, match="expected the forms of the network"):
        write_factored(tmp_path / "x", opened.source, network, fewer, torch.float32, RECORD)
    with pytest.raises(NotRunnable, match="Sequential"):
        write_merged(tmp_path / "x", opened.source, nn.Sequential(), {}, torch.float32, RECORD)
    with pytest.raises(NothingToWrite, match="compensation"):
        write_compensation(tmp_path / "x", *given)
    assert not (tmp_path / "x").exists()


def test_a_head_that_is_no_longer_the_embedding_stays_itself(tmp_path):
    opened, network, found = compressed("gpt2", tmp_path / "base")
    network.lm_head.weight = nn.Parameter(2 * network.lm_head.weight.detach())
    write_merged(tmp_path / "out", opened.source, network, found, torch.float32, RECORD)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["tie_word_embeddings"] is False
    again = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "out", attn_implementation="eager"
    )
    expected = logits(network, IDS)
    assert (logits(again.eval(), IDS) - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_residuals_are_an_adapter_of_the_base_beside_them(models, tmp_path, family):
    import peft

    opened, network, found, _ = models[family]
    write_compensation(tmp_path / "out", opened.source, network, found, torch.float32, RECORD)
    adapter = tmp_path / "out" / "adapter"
    config = json.loads((adapter / "adapter_config.json").read_text())
    assert (adapter / config["base_model_name_or_path"]).resolve() == tmp_path / "out" / "base"
    base = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "out" / "base", attn_implementation="eager"
    ).eval()
    expected, largest = logits(network, IDS), logits(network, IDS).abs().max()
    assert (logits(base, IDS) - expected).abs().max() > 1e-3 * largest
    adapted = peft.PeftModel.from_pretrained(base, adapter).eval()
    assert (logits(adapted, IDS) - expected).abs().max() <= 1e-5 * largest
    if family == "gpt2":  # k and v of block 1 in one module of rank 3 + 3
        assert config["fan_in_fan_out"]
        assert (config["r"], set(config["rank_pattern"].values())) == (6, {3})
    assert json.loads((adapter / "trial.json").read_text())["export"] == "adapter of base"
