"""Hub ids: the local cache, and the sentences when it has nothing. No test uses the network."""

import json
import shutil

import huggingface_hub
import pytest
import torch
from huggingface_hub import errors
from safetensors.torch import save_file

from analysis.weights import BadModel, open_model

COMMIT = "0" * 40


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def cached(cache, family):
    repository = cache / "models--owner--tiny"
    snapshot = repository / "snapshots" / COMMIT
    blobs = repository / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for i, file in enumerate(sorted(family("llama")[0].iterdir())):
        shutil.copy(file, blobs / str(i))
        (snapshot / file.name).symlink_to(blobs / str(i))
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(COMMIT)
    return snapshot


def test_a_cached_model_opens_by_its_id(cached, dense):
    source = open_model("owner/tiny")

    assert (source.name, source.origin, source.path) == ("tiny", "owner/tiny", cached.resolve())
    assert dense(source.matrices()[0]).shape == (64, 32)


def test_a_snapshot_folder_opens_by_its_path(cached):
    assert open_model(cached).name == "tiny"
    assert open_model(cached / "model.safetensors").architecture == "LlamaForCausalLM"


def test_a_configuration_cached_alone_is_no_model(cached):
    (cached / "model.safetensors").unlink()

    with pytest.raises(BadModel, match=r"owner/tiny has no safetensors weights.*half downloaded"):
        open_model("owner/tiny")


@pytest.mark.parametrize(
    "text",
    [b"{", b"\xff", b"[]", b'{"weight_map": 3}', b'{"weight_map": {"a": 3}}', b"[" * 200_000],
)
def test_a_corrupt_index_in_the_cache_says_so(cached, text):
    (cached / "model.safetensors.index.json").write_bytes(text)

    with pytest.raises(BadModel, match=r"index\.json is no index of shards: delete .*owner--tiny"):
        open_model("owner/tiny")


def test_a_corrupt_configuration_in_the_cache_says_so(cached):
    (cached / "config.json").unlink()
    (cached / "config.json").write_bytes(b"{")

    with pytest.raises(BadModel, match=r"config\.json is no JSON object"):
        open_model("owner/tiny")


def test_an_id_that_is_nowhere_says_so(cache):
    with pytest.raises(BadModel, match=r"owner/none is neither a path nor.*cannot be reached"):
        open_model("owner/none")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (errors.GatedRepoError, "is gated.*hf auth login"),
        (errors.RepositoryNotFoundError, "check its spelling"),
        (OSError, "cannot be reached"),
    ],
)
def test_each_refusal_of_the_hub_has_its_sentence(cache, monkeypatch, error, sentence):
    def refuse(*_, **__):
        raise error.__new__(error)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)

    with pytest.raises(BadModel, match=f"owner/none.*{sentence}"):
        open_model("owner/none")


def test_a_download_takes_weights_and_no_second_copies(cache, monkeypatch, family):
    asked = {}

    def download(name, **options):
        if options.get("local_files_only"):
            raise OSError
        asked.update(options)
        return str(family("llama")[0])

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)

    assert open_model("owner/tiny").parameters > 0
    assert "*.safetensors" in asked["allow_patterns"]
    assert not any(pattern.endswith(".bin") for pattern in asked["allow_patterns"])
    assert "*/*" in asked["ignore_patterns"]


@pytest.mark.parametrize(
    "text", ["/no/such/place", "./none", "a/b/c", "no such", "typed-wrong.safetensors"]
)
def test_what_cannot_be_an_id_is_a_missing_path(text):
    with pytest.raises(BadModel, match="does not exist: check the path"):
        open_model(text)


def test_a_cached_adapter_finds_its_cached_base(cached, cache):
    adapter = cache / "models--owner--tuned" / "snapshots" / COMMIT
    adapter.mkdir(parents=True)
    (cache / "models--owner--tuned" / "refs").mkdir()
    (cache / "models--owner--tuned" / "refs/main").write_text(COMMIT)
    config = {"peft_type": "LORA", "r": 1, "base_model_name_or_path": "owner/tiny"}
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    stem = "base_model.model.model.layers.0.self_attn.q_proj.lora"
    factors = {f"{stem}_A.weight": torch.ones(1, 32), f"{stem}_B.weight": torch.ones(32, 1)}
    save_file(factors, adapter / "adapter_model.safetensors")
    source = open_model("owner/tuned")

    assert (source.name, source.base.name) == ("tuned", "tiny")
    assert [ref.label.layer for ref in source.matrices()] == ["blocks.0.q"]
