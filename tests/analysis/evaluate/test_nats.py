"""Negative log-likelihood against a loop over tokens, and the layer that spoils it."""

import contextlib
import math

import pytest
import torch

from analysis.compress.pieces import NonFiniteLayer
from analysis.evaluate import nats
from analysis.evaluate.nats import UNSCORED, evaluating, mask, next_tokens, score
from analysis.evaluate.non_finite import all_finite, display_name, layers_named
from tests.analysis.evaluate.small_models import on_disk
from tests.analysis.tiny_transformers import tiny


def some_ids(rows, length, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(6, 29, (rows, length), generator=generator)


def naive(network, ids):
    """-ln p token by token in float64, each from a run over the tokens before it alone."""
    network = network.double()
    sums, hits = [], 0
    with torch.no_grad():
        for row in ids:
            total = 0.0
            for at in range(1, len(row)):
                logits = network(input_ids=row[None, :at]).logits[0, -1]
                total += float(torch.logsumexp(logits, 0) - logits[row[at]])
                hits += int(logits.argmax() == row[at])
            sums.append(total)
    return sums, hits


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_windows_cost_what_a_loop_over_tokens_says(family, monkeypatch):
    monkeypatch.setattr(nats, "LOGITS", 29 * 9 * 2)  # batches of two windows, the last of one
    ids = some_ids(5, 9)
    found = score(tiny(family), ids, next_tokens(ids))
    sums, hits = naive(tiny(family), ids)
    assert found.sums == pytest.approx(sums, rel=1e-5)
    assert found.counts == (8,) * 5
    assert found.hits == hits
    assert found.mean == pytest.approx(sum(sums) / 40, rel=1e-5)


def test_masked_tokens_cost_what_a_loop_over_them_says():
    network = tiny("bert")
    ids = some_ids(3, 14)
    inputs, targets = mask(ids, 4, torch.Generator().manual_seed(0))
    found = score(network, inputs, targets)
    network = network.double()
    for row in range(3):
        total = 0.0
        for at in (targets[row] != UNSCORED).nonzero().flatten().tolist():
            with torch.no_grad():
                logits = network(input_ids=inputs[row : row + 1]).logits[0, at]
            total -= float(logits.log_softmax(0)[ids[row, at]])
        assert found.sums[row] == pytest.approx(total, rel=1e-5)
    assert found.counts == (2, 2, 2)


def test_fifteen_percent_of_what_may_be_masked_is():
    ids = some_ids(40, 22)
    ids[:, 0], ids[:, -1] = 2, 3
    inputs, targets = mask(ids, 4, torch.Generator().manual_seed(1), kept=(2, 3))
    chosen = targets != UNSCORED
    assert chosen.sum(1).tolist() == [3] * 40  # of 20
    assert not chosen[:, [0, -1]].any()
    assert (inputs[chosen] == 4).all()
    assert torch.equal(targets[chosen], ids[chosen])
    assert torch.equal(inputs[~chosen], ids[~chosen])
    assert chosen[:, 1:-1].any(0).all()  # no place is left out
    again = mask(ids, 4, torch.Generator().manual_seed(1), kept=(2, 3))
    assert torch.equal(again[0], inputs)
    short, _ = mask(ids[:, :3], 4, torch.Generator().manual_seed(0), kept=(2, 3))
    assert (short == 4).sum(1).tolist() == [1] * 40
    with pytest.raises(ValueError, match="expected a token to mask"):
        mask(ids[:, :1], 4, torch.Generator().manual_seed(0), kept=(2,))


def test_a_network_is_put_back_into_its_modes():
    network = tiny("gpt2").train()
    network.transformer.h[0].eval()
    before = [module.training for module in network.modules()]
    with contextlib.suppress(RuntimeError), evaluating(network):
        assert not any(module.training for module in network.modules())
        raise RuntimeError
    assert [module.training for module in network.modules()] == before


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model.layers.1.self_attn.v_proj", math.nan),
        ("model.layers.0.mlp.down_proj", math.inf),
        ("model.layers.1.input_layernorm", math.nan),
    ],
)
def test_a_weight_that_is_not_finite_is_named(path, value):
    network = tiny("llama")
    with torch.no_grad():
        network.get_submodule(path).weight.view(-1)[3] = value
    ids = some_ids(3, 6)
    with pytest.raises(NonFiniteLayer, match=path):
        score(network, ids, next_tokens(ids))


def test_an_activation_that_is_not_finite_is_named():
    network = tiny("gpt2")
    act = network.transformer.h[1].mlp.act
    handle = act.register_forward_hook(
        lambda _m, _x, y: y.masked_fill(y > y.max() - 1e-6, math.inf)
    )
    ids = some_ids(2, 6)
    with pytest.raises(NonFiniteLayer, match=r"transformer\.h\.1\.mlp\.act: its output"):
        score(network, ids, next_tokens(ids))
    handle.remove()
    assert not network.transformer.h[0].mlp.act._forward_hooks
    assert not act._forward_hooks


def test_one_logit_at_minus_infinity_is_found():
    network = tiny("llama")
    handle = network.lm_head.register_forward_hook(
        lambda _m, _x, y: y.index_fill(-1, torch.tensor([5]), -math.inf)
    )
    ids = some_ids(2, 6)  # 5 is never a target, so every sum is finite
    with pytest.raises(NonFiniteLayer, match="lm_head"):
        score(network, ids, next_tokens(ids))
    handle.remove()


def test_finite_looks_into_nested_outputs():
    bad = torch.tensor([1.0, math.nan])
    assert all_finite({"a": (torch.ones(2), [torch.tensor([1, 2])], None)})
    assert not all_finite({"a": (torch.ones(2), [bad])})


@pytest.mark.parametrize(
    ("family", "path", "layer"),
    [
        ("llama", "model.layers.1.self_attn.v_proj", "blocks.1.v"),
        ("llama", "model.layers.1.self_attn.v_proj.parts.0", "blocks.1.v"),
        ("llama", "model.layers.1.input_layernorm", "model.layers.1.input_layernorm"),
        ("gpt2", "transformer.h.0.mlp.c_fc", "blocks.0.up"),
        ("gpt2", "transformer.h.0.attn.c_attn", "transformer.h.0.attn.c_attn"),
        ("encoder", "encoder.layer.1.attention.self.query", "blocks.1.q"),
    ],
)
def test_a_path_becomes_the_name_that_is_listed(tmp_path, family, path, layer):
    opened, _ = on_disk(tmp_path, family)
    assert display_name(opened, path) == layer
    with pytest.raises(NonFiniteLayer, match=f"^{layer}: what"), layers_named(opened):
        raise NonFiniteLayer(path, "what")
