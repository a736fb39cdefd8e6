"""Parameters, bytes and arithmetic, from headers alone."""

import torch
from safetensors.torch import save_file

from analysis.weights import open_model
from tests.analysis.weights.families import made


def matrix_products(model):
    """Return the entries of every matrix that one token is multiplied with."""
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
    return sum(layer.weight.numel() for layer in layers)


def test_flops_are_two_for_each_entry_a_token_passes(family):
    folder, model = family("llama")

    assert open_model(folder).flops == f"{2 * matrix_products(model) / 1e3:.3g} kFLOP"


def test_a_tied_head_counts_though_the_file_has_none(family):
    folder, model = family("qwen3-tied")

    assert open_model(folder).flops == f"{2 * matrix_products(model) / 1e3:.3g} kFLOP"


def test_a_token_passes_the_experts_chosen_for_it(family):
    refs = open_model(family("qwen3-moe")[0]).matrices()
    every = sum(r * c for ref in refs for r, c in [ref.shape] if ref.label.module != "embed")
    experts = sum(r * c for ref in refs for r, c in [ref.shape] if "expert" in ref.label.view)

    # Two of four.
    assert (
        open_model(family("qwen3-moe")[0]).flops == f"{2 * (every - experts / 2) / 1e3:.3g} kFLOP"
    )


def test_flops_need_a_configuration(tmp_path):
    save_file(
        {k: v.contiguous() for k, v in made("llama").state_dict().items()},
        tmp_path / "a.safetensors",
    )

    assert open_model(tmp_path / "a.safetensors").flops is None


def test_dtype_is_that_of_most_parameters(tmp_path):
    tensors = {"a.weight": torch.ones(9, 9, dtype=torch.bfloat16), "b": torch.ones(9)}
    save_file(tensors, tmp_path / "a.safetensors")
    source = open_model(tmp_path / "a.safetensors")

    assert (source.dtype, source.bytes, source.parameters) == ("bfloat16", 162 + 36, 90)


def test_buffers_are_no_parameters(tmp_path):
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    save_file(net.state_dict(), tmp_path / "a.safetensors")

    assert open_model(tmp_path / "a.safetensors").parameters == sum(
        p.numel() for p in net.parameters()
    )
