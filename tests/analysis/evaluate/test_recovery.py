"""Training factors: against a plain loop, what stays frozen, and its control."""

import math
from dataclasses import dataclass

import pytest
import torch

from analysis.compress.forms import Compensated, Quantised, TwoFactor
from analysis.compress.pieces import NonFiniteLayer
from analysis.evaluate import recovery
from analysis.evaluate.recovery import control, recover
from analysis.networks.errors import NotRunnable
from tests.analysis.tiny_transformers import tiny

Q, UP = "model.layers.0.self_attn.q_proj", "model.layers.1.mlp.up_proj"


@dataclass(frozen=True)
class Place:
    module: str


def some_ids(rows=8, length=12):
    return torch.randint(6, 29, (rows, length), generator=torch.Generator().manual_seed(0))


def compressed():
    """A small model with two layers at half their rank, one of them with a bias."""
    network = tiny("llama")
    forms = {}
    for name, path, bias in (("blocks.0.q", Q, torch.ones(16)), ("blocks.1.up", UP, None)):
        W = network.get_submodule(path).weight.detach()
        U, s, Vt = torch.linalg.svd(W, full_matrices=False)
        forms[name] = TwoFactor(s[:8, None] * Vt[:8], U[:, :8], bias)
        network.set_submodule(path, forms[name])
    return network, forms


def values(network):
    return {name: p.detach().clone() for name, p in network.named_parameters()}


def test_losses_are_those_of_a_plain_loop():
    ids = some_ids()  # one batch, so that the order of windows does not matter
    network, forms = compressed()
    found = recover(network, forms, ids, steps=4, lr=1e-2, seed=0)
    again, same = compressed()
    weights = [getattr(form, name) for form in same.values() for name in ("A", "B")]
    optimizer = torch.optim.AdamW(weights, lr=1e-2, weight_decay=0.0)
    expected = []
    for _ in range(4):
        loss = again(input_ids=ids, labels=ids).loss
        expected.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
    # Adam divides by the gradient's size, so rounding of an entry near 0 shows in full.
    assert found == pytest.approx(expected, rel=1e-4)
    assert found[-1] < found[0]


def test_only_factors_change_and_all_is_put_back():
    network, forms = compressed()
    network.train()
    network.model.norm.weight.requires_grad_(False)
    before = values(network)
    recover(network, forms, some_ids(), steps=2, lr=1e-2)
    after = values(network)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {f"{path}.{factor}" for path in (Q, UP) for factor in "AB"}
    assert network.training
    assert [n for n, p in network.named_parameters() if not p.requires_grad] == [
        "model.norm.weight"
    ]
    assert all(parameter.grad is None for parameter in network.parameters())


def test_the_rest_takes_no_gradients_meanwhile():
    network, forms = compressed()
    seen = []

    def note(module, *_given):
        seen.extend(name for name, p in module.named_parameters() if p.requires_grad)

    network.register_forward_pre_hook(note)
    recover(network, forms, some_ids(), steps=1, lr=1e-2)
    assert set(seen) == {f"{path}.{factor}" for path in (Q, UP) for factor in "AB"}


def test_gradients_are_clipped(monkeypatch):
    # Far below Adam's 1e-8 such gradients move nothing.
    monkeypatch.setattr(recovery, "CLIP", 1e-13)
    network, forms = compressed()
    before = values(network)
    recover(network, forms, some_ids(), steps=1, lr=1e-2)
    for name, value in values(network).items():
        assert (value - before[name]).abs().max() < 1e-6


def test_only_some_layers_are_trained():
    network, forms = compressed()
    before = values(network)
    recover(network, forms, some_ids(), steps=1, lr=1e-2, only={"blocks.1.up"})
    after = values(network)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {f"{UP}.A", f"{UP}.B"}


def test_the_control_trains_the_dense_layers_on_the_same_batches(monkeypatch):
    seen = {"forms": [], "dense": []}
    network, forms = compressed()
    dense = tiny("llama")
    for name, each in (("forms", network), ("dense", dense)):

        def note(_module, _given, more, name=name):
            seen[name].append(more["input_ids"])

        each.register_forward_pre_hook(note, with_kwargs=True)
    before = values(dense)
    ids = some_ids(rows=20)
    recover(network, forms, ids, steps=6, lr=1e-3, seed=4)
    losses = control(dense, [Place(Q), Place(UP), Place(UP)], ids, 6, 1e-3, seed=4)
    assert len(losses) == 6
    assert torch.equal(torch.stack(seen["forms"]), torch.stack(seen["dense"]))
    # Five steps of 8 read all 20 windows twice.
    rows = torch.cat(seen["dense"][:5]).tolist()
    assert sorted(rows) == sorted(ids.tolist() * 2)
    after = values(dense)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {f"{Q}.weight", f"{UP}.weight"}


def test_seeds_decide_the_batches():
    ids = some_ids(rows=20)
    runs = []
    for seed in (0, 0, 1):
        network, forms = compressed()
        runs.append(recover(network, forms, ids, steps=2, lr=1e-3, seed=seed))
    assert runs[0] == runs[1] != runs[2]


def test_a_masked_model_learns_its_masked_tokens():
    network = tiny("bert").train()
    seen = []
    network.register_forward_pre_hook(
        lambda _m, _x, more: seen.append(more["input_ids"]), with_kwargs=True
    )
    ids = some_ids(length=22)
    ids[:, 0], ids[:, -1] = 2, 3
    path = "bert.encoder.layer.0.intermediate.dense"
    layer = {"blocks.0.up": network.get_submodule(path)}
    losses = recover(network, layer, ids, steps=3, lr=1e-3, mask_id=4)
    assert len(losses) == 3
    for read in seen:
        assert (read == 4).sum(1).tolist() == [3] * 8
        assert (read[:, 0] == 2).all()
        assert (read[:, -1] == 3).all()
    assert not torch.equal(seen[0] == 4, seen[1] == 4)
    with pytest.raises(ValueError, match="expected mask_id"):
        recover(network, layer, ids, steps=1, lr=1e-3)


def test_packed_codes_have_nothing_to_train_but_their_correction():
    network, _ = compressed()
    codes = Quantised(torch.ones(16, 16, dtype=torch.uint8), torch.ones(16, 1), None, 4, 0)
    network.set_submodule(Q, codes)
    with pytest.raises(ValueError, match="expected layers with factors to train"):
        recover(network, {"blocks.0.q": codes}, some_ids(), steps=1, lr=1e-3)
    whole = Compensated(codes, torch.zeros(16, 2), torch.ones(2, 16))
    network.set_submodule(Q, whole)
    recover(network, {"blocks.0.q": whole}, some_ids(), steps=1, lr=1e-3)
    assert whole.B.abs().min() > 0


def test_a_loss_that_is_not_finite_names_the_layer():
    network, forms = compressed()
    with torch.no_grad():
        forms["blocks.1.up"].B[0, 0] = math.inf
    with pytest.raises(NonFiniteLayer, match=UP):
        recover(network, forms, some_ids(), steps=1, lr=1e-3)
    assert network.model.norm.weight.requires_grad


def test_a_gradient_that_is_not_finite_names_the_layer():
    network, forms = compressed()
    forms["blocks.1.up"].A.register_hook(lambda g: g * math.nan)
    before = values(network)
    with pytest.raises(NonFiniteLayer, match=rf"{UP}\.A: the gradient"):
        recover(network, forms, some_ids(), steps=1, lr=1e-3)
    assert all(torch.equal(before[name], value) for name, value in values(network).items())


def test_a_model_without_a_head_has_no_loss():
    network = tiny("encoder")
    layer = {"blocks.0.up": network.encoder.layer[0].intermediate.dense}
    with pytest.raises(NotRunnable, match="a BertModel has no head"):
        recover(network, layer, some_ids(), steps=1, lr=1e-3)
