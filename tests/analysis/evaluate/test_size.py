"""Numbers, bytes and operations of networks with compressed layers."""

import pytest
import torch
from torch import nn

from analysis.compress.export.tensors import checked, held, write
from analysis.compress.forms import Compensated, HeadTucker, Quantised, RowInterpolative, TwoFactor
from analysis.evaluate.flops import linear_flops
from analysis.evaluate.memory import peak_bytes
from analysis.evaluate.size import file_bytes, linear_numbers, model_numbers, weights_bytes
from tests.analysis.tiny_transformers import tiny

Q, UP = "model.layers.0.self_attn.q_proj", "model.layers.1.mlp.up_proj"
EMBEDDED = 29 * 16


def low_rank(m, n, k):
    return torch.ones(m, k), torch.ones(k, n)


def quantised(m, n):
    return Quantised(torch.ones(m, n, dtype=torch.uint8), torch.ones(m, 1), torch.ones(m, 1), 4, 0)


def two_factor(m, n, k, bias=None):
    B, A = low_rank(m, n, k)
    return TwoFactor(A, B, bias)


def test_numbers_of_dense_layers_and_of_forms():
    network = tiny("llama")
    before = model_numbers(network)
    assert linear_numbers(network, [Q, UP]) == 16 * 16 + 24 * 16
    network.set_submodule(Q, two_factor(16, 16, 3, torch.ones(16)))
    network.set_submodule(UP, RowInterpolative.of(*low_rank(24, 16, 2)))
    assert linear_numbers(network, [Q, UP]) == 3 * 32 + 2 * 38
    assert model_numbers(network) == before - 640 + 3 * 32 + 16 + 2 * 38


def test_codes_are_numbers_of_the_model():
    network = tiny("llama")
    before = model_numbers(network), weights_bytes(network)
    network.set_submodule(Q, quantised(16, 16))
    assert linear_numbers(network, [Q]) == 256
    assert model_numbers(network) == before[0]
    assert weights_bytes(network) == before[1] - 256 * 4 + 128 + 2 * 16 * 2


def test_a_shared_weight_counts_once():
    network = tiny("llama", tie_word_embeddings=True)
    plain = tiny("llama")
    assert model_numbers(plain) - model_numbers(network) == EMBEDDED
    assert weights_bytes(plain) - weights_bytes(network) == 4 * EMBEDDED
    tied = ["model.embed_tokens", "lm_head"]
    assert linear_numbers(network, tied) == EMBEDDED
    assert linear_numbers(plain, tied) == 2 * EMBEDDED


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_bytes_are_those_of_the_file(tmp_path, dtype):
    network = tiny("llama", tie_word_embeddings=True)
    network.set_submodule(Q, two_factor(16, 16, 3))
    network.set_submodule(UP, quantised(24, 16))
    write(tmp_path, checked(held(network), dtype))
    assert file_bytes(network, dtype) == (tmp_path / "model.safetensors").stat().st_size


def tucker():
    shapes = [(16, 5), (4, 2), (4, 3), (4, 5, 2, 3)]  # d, d_h, S; h heads
    return HeadTucker([torch.ones(shape) for shape in shapes], slot=0)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: nn.Linear(16, 24), 2 * 24 * 16),
        (lambda: two_factor(24, 16, 3), 2 * 3 * 40),
        (lambda: RowInterpolative.of(*low_rank(24, 16, 3)), 2 * 3 * 37),
        (lambda: quantised(24, 16), 2 * 24 * 16),
        (lambda: Compensated(quantised(24, 16), *low_rank(24, 16, 2)), 2 * (24 * 16 + 2 * 40)),
        (tucker, 2 * (16 * 5 + 4 * 5 * 2 + 4 * 2 * 4)),
    ],
)
def test_operations_for_one_more_token(made, expected):
    assert linear_flops(nn.ModuleDict({"a": made()}), ["a"]) == expected


def test_operations_that_do_not_grow_with_the_tokens_are_left_out():
    class Mixed(nn.Linear):
        def forward(self, x):
            return super().forward(x) + (self.weight @ self.weight.T)[0, 0]

    assert linear_flops(nn.ModuleDict({"a": Mixed(16, 24)}), ["a"]) == 2 * 24 * 16


def test_operations_of_a_conv1d_and_of_several_layers():
    network = tiny("gpt2")
    paths = ["transformer.h.0.attn.c_attn", "transformer.h.1.mlp.c_proj"]
    assert linear_flops(network, paths) == 2 * (16 * 48 + 64 * 16)


def test_peak_memory_counts_what_lives_at_once():
    given = torch.ones(1000)

    def run():
        a = given * 2  # 4,000 bytes
        b = a + 1  # 8,000
        a.mul_(3)
        view = b[:500].view(5, 100)
        del a  # 4,000: b, which its view keeps
        del b
        c = torch.cat([view.flatten(), given])  # 4,000 + 6,000
        del view
        return c.double()  # 6,000 + 12,000

    assert peak_bytes(run) == 18_000


def test_peak_memory_leaves_out_what_was_there():
    layer = nn.Linear(100, 50)
    x = torch.ones(4, 100)
    assert peak_bytes(lambda: layer(x)) == 4 * 50 * 4
