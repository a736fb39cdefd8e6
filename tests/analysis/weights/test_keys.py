"""Content keys: of the bytes and the view, never of the place."""

import hashlib

import pytest
import torch
from safetensors.torch import save_file

from analysis.weights import BadModel, fingerprint, matrix_key, open_model
from analysis.weights import keys as module

W = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))


def refs(path, **tensors):
    save_file(tensors, path)
    return {ref.tensor: ref for ref in open_model(path).matrices()}


def test_it_is_the_digest_of_the_stored_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 11)  # the bytes are streamed
    [ref] = refs(tmp_path / "a.safetensors", w=W).values()

    assert fingerprint(ref) == hashlib.sha256(W.numpy().tobytes()).hexdigest()


def test_it_does_not_depend_on_file_name_or_place(tmp_path):
    alone = refs(tmp_path / "a.safetensors", w=W)["w"]
    other = refs(tmp_path / "b.safetensors", a=torch.ones(3, 3), other=W.clone(), z=W + 1)

    assert fingerprint(alone) == fingerprint(other["other"])
    assert matrix_key(alone, "f") == matrix_key(other["other"], "f")
    assert fingerprint(other["z"]) != fingerprint(alone)


def test_a_pickle_has_the_same_fingerprint(tmp_path):
    alone = refs(tmp_path / "a.safetensors", w=W)["w"]
    torch.save({"w": W.T.contiguous().T}, tmp_path / "a.pt")
    [pickled] = open_model(tmp_path / "a.pt", allow_pickle=True).matrices()

    assert fingerprint(pickled) == fingerprint(alone)


def test_keys_tell_dtypes_shapes_and_views_apart(tmp_path, family):
    zeros = refs(
        tmp_path / "a.safetensors",
        a=torch.zeros(4, 6),
        b=torch.zeros(6, 4),
        c=torch.zeros(4, 6, dtype=torch.int32).view(torch.float32).to(torch.float16),
    )
    keys = {matrix_key(ref, "same") for ref in zeros.values()}
    views = open_model(family("gpt2")[0]).matrices(heads=True)
    fused = [ref for ref in views if ref.tensor == "transformer.h.0.attn.c_attn.weight"]

    assert len(keys) == 3
    assert len({matrix_key(ref, "same") for ref in fused}) == len(fused) == 16


def test_a_tensor_that_is_gone_says_so(tmp_path):
    ref = refs(tmp_path / "a.safetensors", w=W)["w"]
    save_file({"v": W}, tmp_path / "a.safetensors")

    with pytest.raises(BadModel, match="no longer holds w"):
        fingerprint(ref)
