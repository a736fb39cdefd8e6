"""Every tensor of every named family gets its block and module type."""

import pytest

from analysis.weights import open_model
from analysis.weights.names import name_tensors
from tests.analysis.weights.families import FAMILIES


@pytest.mark.parametrize("name", FAMILIES)
def test_every_matrix_of_a_family_is_known(name, family):
    source = open_model(family(name)[0])

    assert {n.module for n in known_names(source)} == expected_modules(name)
    assert all(n.known for n in known_names(source))
    assert source.architecture == FAMILIES[name][0]
    assert source.kind == "transformers"
    assert source.blocks == (4 if name == "t5" else 2)


def known_names(source):
    return [source.names[t.name] for t in source.tensors() if t.state == "matrix"]


def expected_modules(name):
    _, _, _, inside, outside = FAMILIES[name]
    modules = {*inside.split(), *outside.split()}
    for joined, parts in (("qkv", {"q", "k", "v"}), ("gate_up", {"gate", "up"})):
        modules -= parts if joined in modules else set()
    return modules


@pytest.mark.parametrize("name", FAMILIES)
def test_matrices_are_listed_by_block_and_module(name, family):
    source = open_model(family(name)[0])
    _, _, _, inside, outside = FAMILIES[name]
    labels = [ref.label for ref in source.matrices()]

    assert {label.module for label in labels if label.block is not None} == set(inside.split())
    assert {label.module for label in labels if label.block is None} == set(outside.split())
    assert len({label.layer for label in labels}) == len(labels)
    assert {label.block for label in labels} == {None, 0, 1}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_linear_entry_is_counted_once(name, family):
    source = open_model(family(name)[0])
    linear = [ref for ref in source.matrices(heads=True) if ref.label.kind == "linear"]
    inside = {ref.tensor for ref in source.matrices() if ref.label.block is not None}
    stored = [t for t in source.tensors() if t.name in inside]
    stored = [t for t in stored if t.module.split(".")[-1] not in ("router", "position_bias")]

    assert sum(r * c for r, c in (ref.shape for ref in linear)) == sum(t.parameters for t in stored)


@pytest.mark.parametrize("name", FAMILIES)
def test_parameters_are_the_models_own(name, family):
    folder, model = family(name)

    assert open_model(folder).parameters == model.num_parameters()


@pytest.mark.parametrize("name", FAMILIES)
def test_every_other_tensor_has_its_reason(name, family):
    source = open_model(family(name)[0])
    used = {ref.tensor for ref in source.matrices()}

    for tensor in source.tensors():
        assert (tensor.name in used) == (tensor.state == "matrix")
        assert tensor.reason or tensor.state == "matrix"


def test_layers_read_as_the_field_says_them(family):
    layers = [ref.label.layer for ref in open_model(family("llama")[0]).matrices()]

    assert layers[:9] == [
        "embed", "blocks.0.q", "blocks.0.k", "blocks.0.v", "blocks.0.o",
        "blocks.0.gate", "blocks.0.up", "blocks.0.down", "blocks.1.q",
    ]  # fmt: skip
    assert layers[-1] == "head"


@pytest.mark.parametrize(
    ("tensor", "layer", "module"),
    [
        ("module.model.layers.11.self_attn.v_proj.weight", "blocks.11.v", "v"),
        ("_orig_mod.transformer.h.0.attn.c_attn.weight", "blocks.0.qkv", "qkv"),
        ("h.3.mlp.c_fc.weight", "blocks.3.up", "up"),
        ("layers.2.attention.wq.weight", "blocks.2.q", "q"),
        ("blocks.5.attn.qkv.weight", "blocks.5.qkv", "qkv"),
        ("encoder.layer.1.attention.output.dense.weight", "blocks.1.o", "o"),
        ("model.layers.0.mlp.experts.gate_up_proj", "blocks.0.gate_up", "gate_up"),
        ("layer1.0.conv1.weight", "layer1.0.conv1", "layer1.0.conv1"),
        ("net.mixer_7.theta", "net.mixer_7.theta", "net.mixer_7.theta"),
        ("blocks.3.att.receptance.weight", "blocks.3.att.receptance", "att.receptance"),
    ],
)
def test_names_are_read_whatever_wraps_them(tensor, layer, module):
    name = name_tensors([tensor])[tensor]

    assert (name.layer, name.module) == (layer, module)


def test_layers_that_would_meet_keep_their_own_names():
    names = name_tensors(["lm_head.weight", "embed_out.weight", "x", "x.weight", "wte.weight"])

    assert [name.layer for name in names.values()] == [
        "lm_head",
        "embed_out",
        "x",
        "x.weight",
        "embed",
    ]


def test_two_stacks_of_blocks_stay_apart():
    names = name_tensors(
        [f"model.{s}.layers.0.self_attn.q_proj.weight" for s in ("encoder", "decoder")]
    )

    assert [n.layer for n in names.values()] == ["encoder.blocks.0.q", "decoder.blocks.0.q"]
    assert [n.module for n in names.values()] == ["encoder.q", "decoder.q"]


def test_a_number_too_large_for_a_block_is_part_of_a_name():
    tensor = f"model.layers.{10**20}.self_attn.q_proj.weight"
    assert name_tensors([tensor])[tensor].block is None
