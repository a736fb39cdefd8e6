"""Storage forms: each is its W', whatever it is kept as, and its file holds what it counts."""

import ast
import copy
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from analysis.compress import forms
from analysis.compress.forms import Parts, Quantised, TwoFactor, build, describe
from tests.analysis.compress.forms import FORMS, normal, quantised

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
FOLDER = Path(forms.__file__).parent


@pytest.fixture(params=FORMS)
def form(request):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return FORMS[request.param]()


def biases(form):
    """b (m,), by its parts."""
    if isinstance(form, Parts):
        return torch.cat([biases(part) for part in form.parts])
    b = form.bias
    return torch.zeros(form.out_features, dtype=torch.float64) if b is None else b.double()


@pytest.mark.parametrize("leading", [(), (1,), (7,), (2, 3), (0, 4), (2, 1, 3)])
def test_a_forward_pass_is_that_of_the_matrix(form, leading):
    x = normal(*leading, form.in_features, seed=8)
    W = form.dense().double()
    assert W.shape == (form.out_features, form.in_features)
    expected = x @ W.T + biases(form)
    y = form(x)
    assert (y.dtype, y.shape) == (torch.float64, (*leading, form.out_features))
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-12 * (1 + W.norm().item()))


@pytest.mark.parametrize("dtype", DTYPES)
def test_it_computes_in_the_dtype_that_it_is_cast_to(form, dtype):
    W, b = form.dense().detach().clone(), biases(form).detach().clone()
    x = normal(3, form.in_features, seed=8).to(dtype)
    y = form.to(dtype)(x)
    assert y.dtype == dtype
    # Three products at most, each of rounded numbers that are no longer than the norms here.
    norms = sum(p.detach().double().norm() ** 2 for p in form.parameters()) + W.norm() ** 2
    bound = 4 * torch.finfo(dtype).eps * x.double().norm() * (1 + norms)
    assert (y.double() - (x.double() @ W.double().T + b)).norm() <= bound


def test_gradients_reach_every_parameter(form):
    form(normal(5, form.in_features, seed=8)).square().sum().backward()
    parameters = [p for p in form.parameters() if p.numel()]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in parameters)


def test_a_gradient_is_that_of_the_matrix():
    """Of ‖Y‖² by a difference along one direction, for one parameter of each form."""
    for make in FORMS.values():
        form = make()
        x = normal(5, form.in_features, seed=8)
        for parameter in form.parameters():
            [found] = torch.autograd.grad(form(x).square().sum(), parameter)
            way = normal(*parameter.shape, seed=11)
            values = []
            for step in (1e-4, -1e-4):
                with torch.no_grad():
                    parameter += step * way
                    values.append(form(x).square().sum().item())
                    parameter -= step * way
            slope = (values[0] - values[1]) / 2e-4
            assert (found * way).sum().item() == pytest.approx(slope, rel=1e-5, abs=1e-5)


def test_the_spec_makes_a_module_of_the_same_tensors(form):
    spec = json.loads(json.dumps(form.spec()))
    empty = build(spec)
    assert type(empty) is type(form)
    assert empty.spec() == form.spec()
    state = form.state_dict()
    assert {k: v.shape for k, v in empty.state_dict().items()} == {
        k: v.shape for k, v in state.items()
    }
    empty.double().load_state_dict(state)
    x = normal(3, form.in_features, seed=8)
    assert torch.equal(empty(x), form(x))
    assert torch.equal(empty.dense(), form.dense())


def test_an_empty_module_draws_no_random_numbers(form):
    before = torch.random.get_rng_state()
    build(form.spec())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_it_can_be_made_where_no_memory_is_taken(form):
    with torch.device("meta"):
        empty = build(form.spec())
    assert all(tensor.is_meta for tensor in empty.state_dict().values())
    x = normal(3, form.in_features, seed=8)
    empty.load_state_dict(form.state_dict(), assign=True)
    assert torch.equal(empty(x), form(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_the_bytes_are_those_of_the_saved_tensors(form, dtype):
    saved = copy.deepcopy(form)
    for parameter in saved.parameters():
        parameter.data = parameter.data.to(dtype)
    state = {k: v for k, v in saved.state_dict().items() if k.split(".")[-1] != "bias"}
    assert form.stored_bytes(dtype) == sum(v.numel() * v.element_size() for v in state.values())
    if not any(isinstance(m, Quantised) for m in form.modules()):
        floating = {k: v for k, v in state.items() if v.is_floating_point()}
        assert form.numbers() == sum(v.numel() for v in floating.values())
        assert form.stored_bytes(dtype) == form.numbers() * dtype.itemsize + form.index_bytes()


def test_rounding_keeps_the_dtype_and_is_what_a_file_would_hold(form):
    state = form.state_dict()
    rounded = copy.deepcopy(form).stored_as(torch.float16)
    for name, tensor in rounded.state_dict().items():
        old = state[name]
        assert tensor.dtype == old.dtype
        expected = old.half().to(old.dtype) if old.is_floating_point() else old
        assert torch.equal(tensor, expected)
    if any(p.numel() for p in form.parameters()):
        assert any(not torch.equal(a, b) for a, b in zip(
            rounded.parameters(), form.parameters(), strict=True
        ))  # fmt: skip


def test_rounding_changes_no_tensor_that_it_was_made_of():
    A, B = normal(4, 10), normal(12, 4)
    kept = A.clone()
    TwoFactor(A, B).stored_as(torch.bfloat16)
    assert torch.equal(A, kept)


def test_a_cast_there_and_back_leaves_scales_as_they_are():
    form = quantised()
    W = form.dense()
    assert torch.equal(form.to(torch.bfloat16).to(torch.float32).dense(), W)


def test_no_other_module_is_a_part():
    with pytest.raises(ValueError, match="expected a form or a linear layer, got GELU"):
        describe(nn.GELU())
    with pytest.raises(ValueError, match=r"expected a form of .*two_factor.*, got 'cp'"):
        build({"kind": "cp"})


# As source of an exported model


def test_every_module_is_listed_for_export():
    names = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    assert set(forms.SOURCES) == names
    assert set(forms.KINDS) == {
        "two_factor", "row_interpolative", "merged", "quantised", "tensor_train", "head_tucker",
        "compensated", "parts",
    }  # fmt: skip


def test_the_source_of_all_stands_in_one_file():
    lines, seen = [], set()
    for name in forms.SOURCES:
        text = (FOLDER / f"{name}.py").read_text()
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                assert node.name not in seen
                seen.add(node.name)
            if isinstance(node, ast.Import | ast.ImportFrom):
                module = getattr(node, "module", None) or node.names[0].name
                assert module.startswith(("torch", "typing", "math", "analysis.compress.forms."))
        lines += [line for line in text.splitlines() if not line.startswith("from analysis.")]
    space = {"__name__": "exported"}
    exec(compile("\n".join(lines), "exported.py", "exec"), space)
    form = FORMS["parts"]()
    empty = space["build"](form.spec()).double()
    assert type(empty).__module__ == "exported"
    empty.load_state_dict(form.state_dict())
    x = normal(3, 10)
    assert torch.equal(empty(x), form(x))
