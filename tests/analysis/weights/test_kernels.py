"""Convolutions: flattened, sliced, noted."""

import pytest
import torch
from safetensors.torch import save_file

from analysis.weights import open_model


@pytest.fixture
def net(tmp_path):
    tensors = {
        "layer1.0.conv1.weight": torch.randn(6, 4, 3, 2),
        "layer1.0.bn1.weight": torch.ones(6),
        "shortcut.weight": torch.randn(8, 6, 1, 1),
        "depthwise.weight": torch.randn(6, 1, 3, 3),
        "conv1d.weight": torch.randn(6, 4, 3),
        "fc.weight": torch.randn(3, 8),
    }
    save_file(tensors, tmp_path / "a.safetensors")
    return open_model(tmp_path / "a.safetensors"), tensors


def test_kernels_are_flattened_by_default(net, dense):
    source, tensors = net
    refs = {ref.label.layer: ref for ref in source.matrices()}
    ref = refs["layer1.0.conv1[flattened]"]

    assert len(refs) == 5
    assert (ref.label.view, ref.label.kind, ref.label.block) == ("flattened", "conv", None)
    assert ref.label.module == "layer1.0.conv1"
    assert dense(ref).equal(tensors["layer1.0.conv1.weight"].flatten(1))
    assert refs["fc"].label.kind == "linear"
    assert refs["conv1d[flattened]"].shape == (6, 12)


def test_slices_are_labelled_by_their_place(net, dense):
    source, tensors = net
    refs = {ref.label.layer: ref for ref in source.matrices(slices=True)}
    kernel = tensors["layer1.0.conv1.weight"]

    for i in range(3):
        for j in range(2):
            ref = refs[f"layer1.0.conv1[slice {i},{j}]"]
            assert ref.label.view == f"slice {i},{j}"
            assert dense(ref).equal(kernel[:, :, i, j])
    assert dense(refs["conv1d[slice 2]"]).equal(tensors["conv1d.weight"][:, :, 2])


def test_slices_that_say_nothing_new_are_left_out(net):
    source, _ = net
    layers = [ref.label.layer for ref in source.matrices(slices=True)]

    assert [layer for layer in layers if layer.startswith("shortcut")] == ["shortcut[flattened]"]
    assert [layer for layer in layers if layer.startswith("depthwise")] == ["depthwise[flattened]"]
    [note] = [t.reason for t in source.tensors() if t.layer == "depthwise"]
    assert note.startswith("one input channel a filter: depthwise")


def test_slices_that_are_columns_are_listed_once_a_tensor(net):
    source, _ = net

    assert source.left_out() == []
    assert source.left_out(slices=True) == [
        (
            "depthwise[slices]",
            "9 slices of 6 x 1: one input channel a filter, so the only singular value of each is "
            "its norm",
        )
    ]


def test_what_is_asked_for_is_a_row_or_left_out_with_a_reason(net):
    source, tensors = net
    listed = {ref.tensor for ref in source.matrices(slices=True) if "slice" in ref.label.view}
    left_out = {layer.removesuffix("[slices]") for layer, _ in source.left_out(slices=True)}
    sliced = {name for name, t in tensors.items() if t.ndim > 2 and t[0, 0].numel() > 1}

    assert listed | {f"{layer}.weight" for layer in left_out} == sliced


def test_kernels_of_one_dimension_without_a_telling_name(tmp_path, dense):
    net = torch.nn.Sequential(
        torch.nn.Conv1d(4, 6, 5),
        torch.nn.Conv1d(6, 8, 3, bias=False),
        torch.nn.BatchNorm1d(8),
        torch.nn.Conv1d(1, 1, 3),
        torch.nn.Conv1d(8, 8, 3, groups=8),
    )
    state = net.state_dict() | {"cells.weight": torch.randn(3, 4, 5)}
    save_file(state, tmp_path / "a.safetensors")
    source = open_model(tmp_path / "a.safetensors")
    refs = {ref.label.layer: ref for ref in source.matrices()}
    reasons = {t.name: t.reason for t in source.tensors()}

    assert set(refs) == {"0[flattened]", "1[flattened]", "4[flattened]"}
    assert dense(refs["0[flattened]"]).equal(state["0.weight"].flatten(1))
    assert refs["1[flattened]"].label.kind == "conv"
    assert source.architecture == "conv net"
    assert reasons["3.weight"].startswith("1 x n")
    assert reasons["cells.weight"] == (
        "3-dimensional with unknown meaning: no name, bias or batch norm says it is a convolution"
    )
