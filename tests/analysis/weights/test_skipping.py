"""Every tensor that is left out has its reason."""

import pytest
import torch
from safetensors.torch import save_file

from analysis.weights import open_model

REASONS = {
    "norm.weight": (torch.ones(4), "one-dimensional"),
    "scale": (torch.tensor(2.0), "a single number"),
    "row.weight": (torch.ones(1, 9), "1 x n"),
    "column.weight": (torch.ones(9, 1), "1 x n"),
    "ids": (torch.ones(3, 3, dtype=torch.int64), "integers (int64)"),
    "mask": (torch.ones(3, 3, dtype=torch.bool), "boolean"),
    "eight.weight": (torch.ones(3, 3, dtype=torch.int8), "8-bit (int8) without a scale"),
    "float8.weight": (
        torch.ones(3, 3).to(torch.float8_e4m3fn),
        "with its scale in float8.weight_scale",
    ),
    "float8.weight_scale": (torch.ones(3, 3), "the scale of float8.weight"),
    "packed.qweight": (torch.ones(3, 3, dtype=torch.int32), "integers (int32)"),
    "packed.scales": (torch.ones(3, 3), "the scale of packed.qweight"),
    "empty.weight": (torch.ones(0, 4), "empty"),
    "three": (torch.ones(2, 3, 4), "3-dimensional with unknown meaning"),
    "token": (torch.ones(1, 1, 8), "1 x n"),
    "attn.bias": (torch.ones(1, 1, 4, 4), "a bias or a mask"),
    "complex.weight": (torch.ones(3, 3, dtype=torch.complex64), "complex"),
}


@pytest.fixture
def source(tmp_path):
    tensors = {name: tensor for name, (tensor, _) in REASONS.items()}
    save_file(tensors | {"used.weight": torch.ones(3, 4)}, tmp_path / "a.safetensors")
    return open_model(tmp_path / "a.safetensors")


def test_reasons_name_what_a_tensor_is(source):
    found = {t.name: t for t in source.tensors()}

    assert found.pop("used.weight").state == "matrix"
    assert set(found) == set(REASONS)
    for name, (_, reason) in REASONS.items():
        assert found[name].state == "skipped"
        assert reason in found[name].reason, name


def test_only_the_rest_are_matrices(source):
    assert [ref.tensor for ref in source.matrices(heads=True, slices=True)] == ["used.weight"]


def test_a_tied_head_in_the_file_is_listed_once(family, tmp_path):
    folder, model = family("qwen3-tied")
    state = {k: v.clone() for k, v in model.state_dict().items()}
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    source = open_model(tmp_path)
    [head] = [t for t in source.tensors() if t.name == "lm_head.weight"]

    assert head.reason == "tied to model.embed_tokens.weight: the same matrix, listed once"
    assert source.parameters == model.num_parameters()
    assert [r.label.layer for r in source.matrices() if r.label.block is None] == ["embed"]


def test_a_tied_embedding_says_that_it_is_the_head(family):
    [embed] = [t for t in open_model(family("qwen3-tied")[0]).tensors() if t.module == "embed"]

    assert embed.state == "matrix"
    assert embed.reason == "tied: it is the head too"
