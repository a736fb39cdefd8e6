"""Folders: single, sharded, pickled, adapters, series; and what is none of these."""

import json
import shutil

import pytest
import torch
from safetensors.torch import save_file

from analysis.weights import BadModel, fingerprint, open_model
from tests.analysis.weights.families import FAMILIES, made, saved


@pytest.fixture(scope="module")
def sharded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sharded")
    saved("llama", folder, max_shard_size="30KB")
    return folder


def described(source):
    return {
        ref.label.layer: (ref.label, ref.shape, ref.dtype, ref.view) for ref in source.matrices()
    }


def test_sharded_equals_single(sharded, family):
    single, parts = open_model(family("llama")[0]), open_model(sharded)

    assert len({ref.file for ref in parts.matrices()}) > 2
    assert described(parts) == described(single)
    assert (parts.parameters, parts.bytes) == (single.parameters, single.bytes)
    keys = {ref.label.layer: fingerprint(ref) for ref in single.matrices()}
    assert {ref.label.layer: fingerprint(ref) for ref in parts.matrices()} == keys


def test_shards_open_without_their_index(sharded, tmp_path):
    shutil.copytree(sharded, tmp_path / "m")
    (tmp_path / "m/model.safetensors.index.json").unlink()

    assert described(open_model(tmp_path / "m")) == described(open_model(sharded))


@pytest.mark.parametrize("index", [True, False])
def test_a_missing_shard_is_named(sharded, tmp_path, index):
    shutil.copytree(sharded, tmp_path / "m")
    shard = sorted((tmp_path / "m").glob("*.safetensors"))[1]
    shard.unlink()
    if not index:
        (tmp_path / "m/model.safetensors.index.json").unlink()

    with pytest.raises(BadModel, match=f"{shard.name} is missing"):
        open_model(tmp_path / "m")


def test_one_shard_alone_points_to_its_folder(sharded):
    with pytest.raises(BadModel, match="open its folder instead"):
        open_model(next(sharded.glob("*.safetensors")))


@pytest.mark.parametrize(
    ("index", "sentence"),
    [
        ("no json", "is no index of shards"),
        (json.dumps({"weight_map": {"a": "../../outside.safetensors"}}), "outside its folder"),
        (json.dumps({"weight_map": {"a": "a.safetensors", "b": "a.safetensors"}}), "lists b"),
    ],
)
def test_a_bad_index_says_so(tmp_path, index, sentence):
    save_file({"a": torch.ones(2, 2)}, tmp_path / "a.safetensors")
    save_file({"c": torch.ones(2, 2)}, tmp_path / "b.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(index)

    with pytest.raises(BadModel, match=sentence):
        open_model(tmp_path)


@pytest.mark.parametrize("suffix", ["pt", "pth", "th", "bin"])
def test_a_pickle_is_refused_and_the_cure_named(tmp_path, suffix):
    path = tmp_path / f"weights.{suffix}"
    torch.save({"a.weight": torch.ones(3, 2)}, path)

    with pytest.raises(BadModel, match=rf"weights\.{suffix} is a pickle.*--allow-pickle"):
        open_model(path)
    assert open_model(path, allow_pickle=True).parameters == 6


@pytest.mark.parametrize("nest", ["state_dict", "model", "model_state_dict"])
@pytest.mark.parametrize("zipped", [True, False])
def test_nested_state_dicts_are_found(tmp_path, dense, nest, zipped):
    weight = torch.arange(6.0).reshape(3, 2)
    torch.save(
        {"epoch": 3, nest: {"a.weight": weight}},
        tmp_path / "a.pt",
        _use_new_zipfile_serialization=zipped,
    )
    [ref] = open_model(tmp_path / "a.pt", allow_pickle=True).matrices()

    assert ref.label.layer == "a"
    assert dense(ref).equal(weight)


def test_a_whole_pickled_model_is_refused(tmp_path):
    torch.save(torch.nn.Linear(2, 3), tmp_path / "a.pt")

    with pytest.raises(BadModel, match=r"a\.pt holds more than a state dict.*state_dict\(\)"):
        open_model(tmp_path / "a.pt", allow_pickle=True)


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04junk"])
def test_a_broken_pickle_says_so(tmp_path, content):
    (tmp_path / "a.pt").write_bytes(content)

    with pytest.raises(BadModel, match=r"a\.pt .*again|a\.pt holds more than"):
        open_model(tmp_path / "a.pt", allow_pickle=True)


def test_a_pickle_without_tensors_says_so(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "a.pt")

    with pytest.raises(BadModel, match=r"a\.pt holds no tensors"):
        open_model(tmp_path / "a.pt", allow_pickle=True)


@pytest.mark.parametrize("name", ["gpt2", "t5", "bert-masked", "vit", "mixtral"])
def test_a_pickled_hugging_face_folder_lists_shared_storage_once(name, family, tmp_path):
    folder, model = family(name)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    torch.save({}, tmp_path / "training_args.bin")
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(BadModel, match="is a pickle"):
        open_model(tmp_path)
    source = open_model(tmp_path, allow_pickle=True)

    assert source.parameters == model.num_parameters()
    assert source.kind == "transformers"
    linear = {r.label.layer for r in source.matrices() if r.label.kind == "linear"}
    assert linear == {
        r.label.layer for r in open_model(folder).matrices() if r.label.kind == "linear"
    }


def test_a_folder_with_one_file_and_no_configuration_is_a_state_dict(tmp_path):
    save_file({"conv.weight": torch.ones(4, 2, 3, 3)}, tmp_path / "anything.safetensors")
    source = open_model(tmp_path)

    assert (source.kind, source.architecture, source.flops) == ("state_dict", "conv net", None)


def test_an_adapter_alone_names_the_base_that_it_lacks(tmp_path):
    save_file({"a": torch.ones(2, 2)}, tmp_path / "adapter_model.safetensors")
    config = '{"peft_type": "LORA", "base_model_name_or_path": "the/base"}'
    (tmp_path / "adapter_config.json").write_text(config)

    for path in (tmp_path, tmp_path / "adapter_model.safetensors"):
        with pytest.raises(BadModel, match=r"is the/base, which is neither .*--base MODEL"):
            open_model(path)


def test_a_series_is_ordered_by_number_and_shows_its_newest(tmp_path):
    for i, step in enumerate(("checkpoint-500", "checkpoint-1000", "checkpoint-20")):
        save_file({"a.weight": torch.full((2, 2), float(i))}, made_folder(tmp_path / step))
    (tmp_path / "checkpoint-2000").mkdir()
    (tmp_path / "logs").mkdir()
    source = open_model(tmp_path)

    assert source.kind == "series"
    assert [step.number for step in source.steps] == [20, 500, 1000]
    assert source.notes == ("checkpoint-2000 holds no weights: left out of the series",)
    assert "checkpoint-1000" in source.matrices()[0].file
    assert "checkpoint-20/" in source.matrices(step=20)[0].file
    assert "checkpoint-500" in source.tensors(step=500)[0].file
    with pytest.raises(BadModel, match=r"no step 7.*20, 500, 1000"):
        source.at(7)


def made_folder(folder):
    folder.mkdir()
    return folder / "model.safetensors"


@pytest.mark.parametrize("name", ["step_{:05}", "epoch-{}", "{}", "epoch{}", "run.iter={}"])
def test_files_that_end_in_a_number_are_checkpoints(tmp_path, name):
    for step in (3, 12):
        save_file({"a.weight": torch.ones(2, 2)}, tmp_path / f"{name.format(step)}.safetensors")

    assert [step.number for step in open_model(tmp_path).steps] == [3, 12]


def test_several_models_in_a_folder_ask_for_one(tmp_path):
    for name in ("resnet20", "resnet56"):
        save_file({"a.weight": torch.ones(2, 2)}, tmp_path / f"{name}.safetensors")

    with pytest.raises(BadModel, match=r"several weights files \(resnet20\.safetensors"):
        open_model(tmp_path)


def test_a_folder_of_models_names_them(tmp_path):
    save_file({"a.weight": torch.ones(2, 2)}, made_folder(tmp_path / "inner"))

    with pytest.raises(BadModel, match=r"open one of its folders \(inner\)"):
        open_model(tmp_path)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [("", "no weights"), ("missing/folder", "does not exist"), ("notes.txt", "is no weights file")],
)
def test_what_is_no_model_says_so(tmp_path, path, sentence):
    (tmp_path / "notes.txt").write_text("nothing")

    with pytest.raises(BadModel, match=sentence):
        open_model(tmp_path / path)


def test_no_path_at_all_says_so():
    with pytest.raises(BadModel, match="no path was given"):
        open_model("  ")


@pytest.mark.parametrize("text", ["~nobody-of-this-name/model", "a" * 5000, "a\0b"])
def test_a_path_that_no_system_takes_says_so(text):
    with pytest.raises(BadModel, match="check the path"):
        open_model(text)


def test_a_configuration_of_odd_values_says_nothing(tmp_path):
    save_file({"layers.0.self_attn.q_proj.weight": torch.ones(8, 8)}, tmp_path / "a.safetensors")
    odd = {
        "text_config": None,
        "architectures": "X",
        "num_attention_heads": "4",
        "model_type": None,
    }
    (tmp_path / "config.json").write_text(json.dumps(odd))
    source = open_model(tmp_path)

    assert [ref.label.layer for ref in source.matrices(heads=True)] == ["blocks.0.q"]


def test_a_corrupt_configuration_says_so(tmp_path):
    save_file({"a.weight": torch.ones(2, 2)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{")

    with pytest.raises(BadModel, match=r"config\.json is no JSON object"):
        open_model(tmp_path)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_plain_state_dict_of_every_family_is_known(name, tmp_path):
    model = made(name)
    torch.save(model.state_dict(), tmp_path / "a.pt")
    source = open_model(tmp_path / "a.pt", allow_pickle=True)

    assert all(source.names[t.name].known for t in source.tensors() if t.state == "matrix")
