"""A factored export loads by this package's own forms, exactly, and nothing else does."""

import json
import os
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

os.environ["HF_HUB_OFFLINE"] = "1"

from analysis import sample
from analysis.compress.export import loading
from analysis.compress.export.factored import write_factored
from analysis.weights import BadModel
from tests.analysis.compress.exports import compressed, logits
from tests.analysis.tiny_transformers import window

IDS = torch.stack([window(11), window(11, seed=1)])


@pytest.fixture
def exported(tmp_path):
    def make(family, dtype=torch.float32):
        opened, network, found = compressed(family, tmp_path / "base", dtype)
        write_factored(tmp_path / "out", opened.source, network, found, dtype, {})
        return tmp_path / "out", network

    return make


@pytest.mark.parametrize(
    ("family", "dtype"),
    [("llama", torch.float16), ("llama", torch.float32), ("gpt2", torch.bfloat16),
     ("bert", torch.float16)],
)  # fmt: skip
def test_the_loaded_network_computes_the_very_same(exported, family, dtype):
    folder, network = exported(family, dtype)
    assert loading.is_factored(folder)
    found = loading.load(folder)
    assert torch.equal(logits(found, IDS), logits(network, IDS))
    assert not found.training
    assert all(p.requires_grad and p.dtype == torch.float32 for p in found.parameters())
    assert "transformers_modules" not in sys.modules


def test_it_computes_in_the_type_that_is_asked_for(exported):
    folder, network = exported("llama")
    found = loading.load(folder, torch.float64)
    expected = logits(network.double(), IDS)
    assert logits(found, IDS).dtype == torch.float64
    assert (logits(found, IDS) - expected).abs().max() <= 1e-10 * expected.abs().max()


def test_a_plain_model_is_refused():
    assert not loading.is_factored(sample.MODEL)
    with pytest.raises(BadModel, match="no factored export of rankscope: open it as a plain model"):
        loading.load(sample.MODEL)


def test_another_layout_and_tensors_that_do_not_fit_are_refused(exported):
    folder, _ = exported("bert")
    path = folder / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"rankscope": config["rankscope"] | {"version": 9}}))
    with pytest.raises(BadModel, match="version 9"):
        loading.load(folder)
    path.write_text(json.dumps(config))
    stored = load_file(folder / "model.safetensors")
    del stored["bert.encoder.layer.0.attention.self.query.A"]
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadModel, match=r"query\.A"):
        loading.load(folder)
