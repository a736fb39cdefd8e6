"""Fused parts against the model's own queries, keys, values, gates and experts."""

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from analysis.weights import open_model
from analysis.weights.names import name_tensors
from tests.analysis.weights.families import made

# One token stands at position 0, where a rotation by position is the identity.
ATTENTION = [
    "llama", "mistral", "gpt2", "gpt-neox", "bert", "distilbert", "roberta", "vit", "phi3",
    "falcon", "falcon-grouped", "falcon-per-head", "bloom", "mpt",
]  # fmt: skip


@pytest.mark.parametrize("name", ATTENTION)
def test_parts_and_heads_give_the_models_own_queries_keys_and_values(
    name, family, dense, monkeypatch
):
    folder, model = family(name)
    refs = {ref.label.layer: ref for ref in open_model(folder).matrices(heads=True)}
    own, entered = attention_of_block_1(model, monkeypatch)

    for letter in "qkv":
        heads = [ref for layer, ref in refs.items() if layer.startswith(f"blocks.1.{letter}[head")]
        assert dense(refs[f"blocks.1.{letter}"]).equal(torch.cat([dense(ref) for ref in heads]))
        times = own[letter].shape[0] // len(heads)  # a key/value head serves a group of queries
        for h, states in enumerate(own[letter]):
            expected = entered @ dense(heads[h // times]).T
            torch.testing.assert_close(states, expected, rtol=1e-4, atol=1e-5)


def attention_of_block_1(model, monkeypatch):
    """Return {"q": heads x tokens x head_dim, ...} of block 1, and what enters its projections."""
    seen, entered = [], []
    spy_on_attention(model, seen, monkeypatch)
    hook = queries_of_block_1(model).register_forward_pre_hook(
        lambda _, inputs: entered.append(inputs[0])
    )
    with torch.no_grad():
        model(**inputs_of(model))
    hook.remove()
    # The last call is the last block's, block 1.
    return dict(zip("qkv", seen[-1], strict=True)), entered[-1].reshape(-1, entered[-1].shape[-1])


def queries_of_block_1(model):
    """Return the module that makes block 1's queries, by the name it has in memory."""
    names = name_tensors(name for name, _ in model.named_parameters())
    [found] = [n for n, name in names.items() if name.layer in {"blocks.1.q", "blocks.1.qkv"}]
    return model.get_submodule(found.removesuffix(".weight"))


def inputs_of(model):
    if model.main_input_name == "pixel_values":
        return {
            "pixel_values": torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
        }
    return {"input_ids": torch.tensor([[5]])}


def spy_on_attention(model, seen, monkeypatch):
    """Append each attention's (q, k, v), heads x tokens x head_dim."""
    if model.config.model_type == "bloom":
        reshape = type(model.transformer.h[0].self_attention)._reshape

        def spy(self, fused):
            seen.append([states[0] for states in reshape(self, fused)])
            return reshape(self, fused)

        monkeypatch.setattr(type(model.transformer.h[0].self_attention), "_reshape", spy)
    elif model.config.model_type == "mpt":
        spy_on_products(seen, monkeypatch)
    else:
        attention = functional.scaled_dot_product_attention

        def spy(query, key, value, *rest, **options):
            seen.append([query[0], key[0], value[0]])
            return attention(query, key, value, *rest, **options)

        monkeypatch.setattr(functional, "scaled_dot_product_attention", spy)


def spy_on_products(seen, monkeypatch):
    """MPT multiplies q by k transposed, then the weights by v."""
    product, pending = torch.matmul, []

    def spy(left, right):
        if left.ndim == right.ndim == 4:
            pending.append((left[0], right[0]))
            if len(pending) == 2:
                (q, k), (_, v) = pending
                seen.append([q, k.mT, v])
                pending.clear()
        return product(left, right)

    monkeypatch.setattr(torch, "matmul", spy)


@pytest.mark.parametrize("name", ["llama", "gpt2", "bert", "opt"])
def test_output_heads_read_their_heads_columns(name, family, dense):
    refs = open_model(family(name)[0]).matrices(heads=True)
    [whole] = [ref for ref in refs if ref.label.layer == "blocks.0.o"]
    heads = [ref for ref in refs if ref.label.layer.startswith("blocks.0.o[head")]

    assert len(heads) == 4
    assert dense(whole).equal(torch.cat([dense(ref) for ref in heads], dim=1))


def test_heads_follow_grouped_queries(family):
    refs = open_model(family("mistral")[0]).matrices(heads=True)
    shapes = {ref.label.layer: ref.shape for ref in refs if "blocks.0" in ref.label.layer}

    assert [shapes[f"blocks.0.q[head {h}]"] for h in range(4)] == [(16, 32)] * 4
    assert [shapes[f"blocks.0.v[head {h}]"] for h in range(2)] == [(16, 32)] * 2
    assert "blocks.0.v[head 2]" not in shapes


def test_gpt2_matrices_are_turned_to_outputs_by_inputs(family, dense):
    folder, model = family("gpt2")
    refs = {ref.label.layer: ref for ref in open_model(folder).matrices()}

    assert refs["blocks.0.up"].shape == (128, 32)
    assert dense(refs["blocks.0.up"]).equal(model.transformer.h[0].mlp.c_fc.weight.T)
    assert refs["blocks.0.qkv"].label.kind == "other"
    assert [refs[f"blocks.0.{p}"].label.view for p in "qkv"] == ["part q", "part k", "part v"]


def test_phi3_gate_comes_before_up(family, dense):
    folder, model = family("phi3")
    refs = {ref.label.layer: ref for ref in open_model(folder).matrices()}
    mlp, x, inner = model.model.layers[0].mlp, torch.randn(3, 32), []
    mlp.down_proj.register_forward_pre_hook(lambda _, inputs: inner.append(inputs[0]))
    mlp(x)
    expected = functional.silu(x @ dense(refs["blocks.0.gate"]).T) * (
        x @ dense(refs["blocks.0.up"]).T
    )

    torch.testing.assert_close(inner[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["mixtral", "qwen3-moe"])
def test_fused_experts_are_the_matrices_of_separate_ones(name, family, dense, tmp_path):
    folder, model = family(name)
    state = {key: value.contiguous() for key, value in model.state_dict().items()}
    save_file(state, tmp_path / "model.safetensors")  # as the module holds them: three axes
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    fused = {ref.label.layer: ref for ref in open_model(tmp_path).matrices()}
    apart = {ref.label.layer: ref for ref in open_model(folder).matrices()}

    assert set(fused) - set(apart) == {
        f"blocks.{b}.gate_up[expert {e}]" for b in (0, 1) for e in range(4)
    }
    for layer, ref in apart.items():
        assert dense(fused[layer]).equal(dense(ref)), layer
        assert fused[layer].label.kind == ref.label.kind


def test_gpt_oss_experts_alternate_gate_and_up(family, dense):
    folder, model = family("gpt-oss")
    refs = {
        ref.label.layer: dense(ref)
        for ref in open_model(folder).matrices()
        if "expert" in ref.label.view
    }
    x = 0.1 * torch.randn(5, 32)
    chosen = torch.full((5, 1), 2)
    own = model.model.layers[0].mlp.experts(x, chosen, torch.ones(5, 1))
    gate = x @ refs["blocks.0.gate[expert 2]"].T
    up = x @ refs["blocks.0.up[expert 2]"].T
    expected = ((up + 1) * gate * torch.sigmoid(1.702 * gate)) @ refs["blocks.0.down[expert 2]"].T

    torch.testing.assert_close(own, expected, rtol=1e-4, atol=1e-5)


def test_a_fused_tensor_without_its_configuration_stays_whole_and_says_so(tmp_path):
    model = made("gpt-neox")
    save_file(
        {k: v.contiguous() for k, v in model.state_dict().items()}, tmp_path / "a.safetensors"
    )
    source = open_model(tmp_path / "a.safetensors")
    [info] = [t for t in source.tensors() if t.layer == "blocks.0.qkv"]
    [ref] = [r for r in source.matrices() if r.label.layer == "blocks.0.qkv"]

    assert info.reason.startswith("kept whole")
    assert (ref.label.kind, ref.shape) == ("linear", (96, 32))


def test_gpt2_needs_no_configuration_for_its_parts(tmp_path, dense):
    model = made("gpt2")
    state = {k: v.contiguous() for k, v in model.transformer.state_dict().items()}
    save_file(state, tmp_path / "a.safetensors")
    refs = {ref.label.layer: ref for ref in open_model(tmp_path / "a.safetensors").matrices()}

    assert dense(refs["blocks.0.k"]).equal(model.transformer.h[0].attn.c_attn.weight[:, 32:64].T)
