"""Attention's matrices in one tensor: shared factors are stored, counted and found once."""

import copy
import json

import pytest
import torch
from torch import nn

from analysis.compress.forms import Compensated, HeadTucker, build
from tests.analysis.compress.forms import normal, tucker_factors


def attention():
    """q, k, v and o of one tensor; q is the owner."""
    q = HeadTucker(tucker_factors(), 0)
    return {
        "a.q": q,
        "a.k": HeadTucker(q, 1, False, normal(12)),
        "a.v": HeadTucker(q, 2),
        "a.o": HeadTucker(q, 3, True, normal(10)),
    }


def network(modules):
    found = nn.Module()
    found.a = nn.Module()
    for path, form in modules.items():
        setattr(found.a, path[2:], form)
    return found


def test_each_slot_is_its_matrix_by_head():
    U1, U2, U3, core = tucker_factors()
    T = torch.einsum("habc,da,sb,mc->hdsm", core, U1, U2, U3)  # (h, d, d_h, 4)
    forms = attention()
    for slot, name in enumerate(("a.q", "a.k", "a.v")):
        expected = torch.cat([T[head, :, :, slot].T for head in range(3)])
        torch.testing.assert_close(forms[name].dense(), expected, rtol=0, atol=1e-12)
    expected = torch.cat([T[head, :, :, 3] for head in range(3)], dim=1)
    torch.testing.assert_close(forms["a.o"].dense(), expected, rtol=0, atol=1e-12)


def test_shared_tensors_are_stored_and_counted_once():
    net = network(attention())
    sizes = [form.numbers() for form in net.a.children()]
    assert sizes == [10 * 5 + 4 * 3 + 4 * 2 + 3 * 5 * 3 * 2, 0, 0, 0]
    assert set(net.state_dict()) == {
        *(f"a.q.{name}" for name in ("U1", "U2", "U3", "core")), "a.k.bias", "a.o.bias"
    }  # fmt: skip
    assert net.a.k.stored_bytes(torch.float32) == 0


def test_a_network_with_shared_tensors_can_be_made_again():
    net = network(attention())
    for form in net.a.children():
        form.wire(dict(net.named_modules()))
    specs = json.loads(json.dumps({path: net.get_submodule(path).spec() for path in attention()}))
    assert [spec["owner"] for spec in specs.values()] == [None, "a.q", "a.q", "a.q"]
    empty = network({path: build(spec) for path, spec in reversed(specs.items())}).double()
    with pytest.raises(ValueError, match=r"expected the tensors of 'a\.q'"):
        empty.a.k.dense()
    for form in empty.a.children():
        form.wire(dict(empty.named_modules()))
    empty.load_state_dict(net.state_dict())
    for mine, theirs in zip(empty.a.children(), reversed(list(net.a.children())), strict=True):
        x = normal(3, mine.in_features)
        assert torch.equal(mine(x), theirs(x))


def test_an_owner_that_is_not_there_is_named():
    form = build(HeadTucker(HeadTucker(tucker_factors(), 0), 1).spec() | {"owner": "a.q"})
    with pytest.raises(ValueError, match=r"expected the owner of shared tensors at 'a\.q'"):
        form.wire({"a.q": nn.GELU()})


def test_a_copy_of_a_network_shares_among_its_own():
    net = network(attention())
    twin = copy.deepcopy(net)
    with torch.no_grad():
        twin.a.q.core.zero_()
    assert twin.a.v.dense().abs().sum() == 0
    assert net.a.v.dense().abs().sum() > 0


def test_a_gradient_through_one_matrix_reaches_the_shared_tensors():
    net = network(attention())
    net.a.o(normal(2, 12)).square().sum().backward()
    assert all(p.grad is not None for p in (net.a.q.U1, net.a.q.U2, net.a.q.U3, net.a.q.core))
    assert net.a.q.U3.grad[:3].abs().sum() == 0  # no other slot has a part in it


def test_ranks_that_do_not_meet_are_refused():
    U1, U2, U3, core = tucker_factors()
    with pytest.raises(ValueError, match="expected a core of ranks"):
        HeadTucker([U1[:, :3], U2, U3, core], 0)
    with pytest.raises(ValueError, match="expected a core of ranks"):
        HeadTucker([U1, U2, U3, core], 4)


def test_an_owner_with_a_correction_is_found_inside_of_it():
    forms = attention()
    forms["a.q"] = Compensated(forms["a.q"], normal(12, 2), normal(2, 10))
    forms["a.k"] = Compensated(forms["a.k"], normal(12, 2), normal(2, 10))
    net = network(forms)
    for form in net.a.children():
        form.wire(dict(net.named_modules()))
    assert net.a.v.spec()["owner"] == net.a.k.spec()["form"]["owner"] == "a.q.form"
    twin = network({path: build(form.spec()) for path, form in forms.items()}).double()
    for form in twin.a.children():
        form.wire(dict(twin.named_modules()))
    twin.load_state_dict(net.state_dict())
    for mine, theirs in zip(twin.a.children(), net.a.children(), strict=True):
        x = normal(3, mine.in_features)
        assert torch.equal(mine(x), theirs(x))
