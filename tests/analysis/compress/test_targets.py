"""Targets are the modules that labels mean, and replacing them by themselves changes nothing."""

import os

import pytest
import torch
from torch import nn

os.environ["HF_HUB_OFFLINE"] = "1"

from analysis.compress.forms import HeadTucker, Parts, TwoFactor
from analysis.compress.pieces import Heads
from analysis.compress.trials import targets as t
from analysis.networks.errors import NotRunnable
from analysis.networks.opened import OpenedModel
from analysis.weights import load
from tests.analysis.tiny_transformers import tiny, window
from tests.analysis.weights.families import saved

SIX_BY_TWO = {"hidden_size": 24, "num_attention_heads": 6, "num_key_value_heads": 2}
FOUND = ("llama", "gpt2", "bert", "bert-masked", "opt", "qwen2", "qwen3-tied", "phi3", "roberta")


def opened(model, folder):
    model.save_pretrained(folder)
    return OpenedModel.open(folder)


def exact(network, target):
    """W = W I: a form that computes what the layer does, through another path."""
    W = t.weight(network, target)
    return TwoFactor(torch.eye(W.shape[1]), W)


def logits(network, ids):
    with torch.no_grad():
        return network(input_ids=ids)[0]


@pytest.mark.parametrize("family", FOUND)
def test_targets_are_the_linear_labels_with_their_stored_values(tmp_path, family):
    saved(family, tmp_path)
    model = OpenedModel.open(tmp_path)
    network = model.network()
    found, skipped = t.targets(model, network)
    linear = [ref for ref in model.source.matrices() if ref.label.kind == "linear"]
    assert [target.layer for target in found] == [ref.label.layer for ref in linear]
    assert skipped == []
    for target, ref in zip(found, linear, strict=True):
        W = t.weight(network, target)
        assert torch.equal(W, load(ref).rows(0, ref.shape[0])), target.layer
        assert target.shape == tuple(W.shape) == ref.shape
        assert (target.block, target.role) == (ref.label.block, ref.label.module)
        assert not W.requires_grad


@pytest.mark.parametrize("family", FOUND)
def test_exact_forms_leave_the_outputs_as_they_were(tmp_path, family):
    model = saved(family, tmp_path)
    with torch.no_grad():  # biases that a wrong slice would misplace
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.copy_(torch.linspace(-0.3, 0.3, parameter.numel()))
    model.save_pretrained(tmp_path)
    source = OpenedModel.open(tmp_path)
    network, ids = source.network(), window(9)[None]
    before = logits(network, ids)
    found, _ = t.targets(source, network)
    t.replace(network, {target.layer: exact(network, target) for target in found}, found)
    after = logits(network, ids)
    assert (after - before).abs().max() <= 1e-5 * before.abs().max()
    assert not any(type(m).__name__ == "Conv1D" for m in network.modules())
    kinds = {type(network.get_submodule(target.module)) for target in found}
    assert kinds <= {TwoFactor, Parts}


def test_a_form_counts_in_the_forward_pass_and_nowhere_else(tmp_path):
    source = opened(tiny("llama"), tmp_path)
    network, ids = source.network(), window(9)[None]
    found, _ = t.targets(source, network, ["blocks.1.v"])
    [v] = found
    others = [p.clone() for n, p in network.named_parameters() if not n.startswith(v.module)]
    before = logits(network, ids)
    t.replace(network, {"blocks.1.v": TwoFactor(torch.zeros(1, 16), torch.zeros(8, 1))}, found)
    assert (logits(network, ids) - before).abs().max() > 1e-3
    kept = [p for n, p in network.named_parameters() if not n.startswith(v.module)]
    assert all(torch.equal(a, b) for a, b in zip(others, kept, strict=True))


@pytest.mark.parametrize("part", ["q", "k", "v"])
def test_one_part_of_a_fused_projection_leaves_the_others_dense(tmp_path, part):
    source = opened(tiny("gpt2"), tmp_path)
    network, ids = source.network(), window(9)[None]
    found, _ = t.targets(source, network)
    [target] = [x for x in found if x.layer == f"blocks.0.{part}"]
    assert (target.conv1d, target.rows[1] - target.rows[0]) == (True, 16)
    b, c_attn = t.bias(network, target), network.get_submodule(target.module)
    assert torch.equal(b, c_attn.bias[target.rows[0] : target.rows[1]])
    x = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
    before, outputs = logits(network, ids), c_attn(x)
    form = exact(network, target)
    t.replace(network, {target.layer: form}, found)
    now = network.get_submodule(target.module)
    assert isinstance(now, Parts)
    sizes = {"q": [16, 32], "k": [16, 16, 16], "v": [32, 16]}[part]
    assert [part.out_features for part in now.parts] == sizes
    assert torch.allclose(now(x), outputs, atol=1e-5)
    assert (logits(network, ids) - before).abs().max() <= 1e-5 * before.abs().max()
    with torch.no_grad():  # its rows and no others are the form's
        form.B.zero_()
        form.bias.zero_()
        changed = (now(x) != 0).any(dim=0)
    assert changed.sum() == 32
    assert not changed[target.rows[0] : target.rows[1]].any()


def test_forms_take_the_dtype_device_and_mode_of_their_layer(tmp_path):
    source = opened(tiny("llama"), tmp_path)
    network = source.network(dtype=torch.float64)
    found, _ = t.targets(source, network, ["blocks.0.q"])
    form = exact(network, found[0]).float().train()
    t.replace(network, {"blocks.0.q": form}, found)
    assert form.A.dtype == torch.float64
    assert not form.training


def test_shared_tensors_are_wired_by_the_paths_of_the_network(tmp_path):
    source = opened(tiny("llama", num_key_value_heads=4), tmp_path)
    network = source.network()
    found, _ = t.targets(source, network, ["blocks.0.q", "blocks.0.o"])
    shapes = [(16, 2), (4, 2), (2, 2), (4, 2, 2, 2)]
    q = HeadTucker([torch.ones(shape) for shape in shapes], 0)
    o = HeadTucker(q, 1, turned=True)
    t.replace(network, {"blocks.0.q": q, "blocks.0.o": o}, found)
    assert o.spec()["owner"] == "model.layers.0.self_attn.q_proj"
    assert logits(network, window(5)[None]).isfinite().all()


def reasons(source, layers=None):
    network = source.network()
    found, skipped = t.targets(source, network, layers)
    return {target.layer for target in found}, dict(skipped)


def test_interleaved_parts_are_skipped_and_their_whole_may_be_named(tmp_path):
    saved("gpt-neox", tmp_path)
    source = OpenedModel.open(tmp_path)
    found, skipped = reasons(source)
    assert "blocks.0.o" in found
    assert {f"blocks.{i}.{p}" for i in (0, 1) for p in "qkv"} == skipped.keys()
    assert all("interleaved" in reason for reason in skipped.values())
    assert reasons(source, ["blocks.0.qkv"]) == ({"blocks.0.qkv"}, {})


def test_a_whole_beside_its_parts_is_taken_once(tmp_path):
    source = opened(tiny("gpt2"), tmp_path)
    found, skipped = reasons(source, ["blocks.0.qkv", "blocks.0.q", "blocks.1.q", "blocks.1.v"])
    assert found == {"blocks.0.qkv", "blocks.1.q", "blocks.1.v"}
    assert skipped == {"blocks.0.q": "holds entries of blocks.0.qkv, which is chosen too"}


def test_an_untied_head_may_be_named_and_a_tied_one_may_not(tmp_path):
    assert reasons(opened(tiny("llama"), tmp_path / "a"), ["head"]) == ({"head"}, {})
    tied = opened(tiny("llama", tie_word_embeddings=True), tmp_path / "b")
    assert "head" not in reasons(tied)[0]
    found, skipped = reasons(tied, ["embed"])
    assert (found, skipped) == (set(), {"embed": "is of type Embedding, no linear layer"})


def test_tied_linear_layers_are_skipped(tmp_path):
    source = opened(tiny("llama"), tmp_path)
    network = source.network()
    first, second = (layer.mlp for layer in network.model.layers)
    second.up_proj.weight = first.up_proj.weight
    found, skipped = t.targets(source, network)
    assert dict(skipped) == {
        "blocks.0.up": "is tied to model.layers.1.mlp.up_proj",
        "blocks.1.up": "is tied to model.layers.0.mlp.up_proj",
    }
    assert len(found) == 12


@pytest.mark.parametrize(("family", "words"), [("mixtral", "stored as"), ("gpt-oss", "stack of 3")])
def test_experts_in_one_stack_are_skipped(tmp_path, family, words):
    saved(family, tmp_path)
    found, skipped = reasons(OpenedModel.open(tmp_path))
    assert {"blocks.0.q", "blocks.1.o"} <= found
    assert skipped
    assert all(words in reason for reason in skipped.values()), skipped


def test_a_module_that_only_derives_from_linear_is_no_target(tmp_path):
    class Scaled(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    source = opened(tiny("llama"), tmp_path)
    network = source.network()
    old = network.model.layers[0].mlp.up_proj
    network.model.layers[0].mlp.up_proj = Scaled(old.in_features, old.out_features, bias=False)
    _, skipped = t.targets(source, network)
    assert skipped == [("blocks.0.up", "is of type Scaled, no linear layer")]


def test_names_that_no_model_has_and_forms_of_no_target_are_refused(tmp_path):
    source = opened(tiny("llama"), tmp_path)
    network = source.network()
    with pytest.raises(NotRunnable, match=r"no layer 'blocks.7.q'"):
        t.targets(source, network, ["blocks.7.q"])
    found, _ = t.targets(source, network, ["blocks.0.q"])
    form, before = exact(network, found[0]), network.model.layers[0].self_attn.q_proj
    with pytest.raises(ValueError, match=r"forms of targets only, got \['blocks.1.q'\]"):
        t.replace(network, {"blocks.0.q": form, "blocks.1.q": form}, found)
    assert network.model.layers[0].self_attn.q_proj is before


def test_heads_groups_and_pieces(tmp_path):
    source = opened(tiny("llama", **SIX_BY_TWO), tmp_path)
    network = source.network()
    assert t.heads_of(source) == Heads(query=6, key_value=2, size=4)
    found, _ = t.targets(source, network, ["blocks.1.k", "head"])
    assert [t.group_of(target) for target in found] == ["block 1", "outside"]
    k, head = t.pieces(network, found, None, t.heads_of(source))
    assert (k.layer, k.role, k.block, k.W.shape) == ("blocks.1.k", "k", 1, (8, 24))
    assert (head.role, head.block, head.statistics) == ("head", None, None)
    assert k.heads == Heads(6, 2, 4)
