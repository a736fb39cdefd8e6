"""Round to nearest: half a step at most, and no byte more than the codes and scales take."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.compress.pieces import NonFiniteLayer, Piece
from analysis.compress.registry import find, parse
from analysis.compress.rtn import Params, build, options, rounded, rtn
from analysis.registry import AnalysisError

BITS = [8, 4, 3]


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def piece(W, layer="blocks.0.q"):
    return Piece(layer, "q", 0, W)


def made(W, params):
    one = [piece(W)]
    tensors = rtn(one, params)
    [option] = options(one, tensors, params)
    return option, build(one, tensors, option, params)["blocks.0.q"]


def naive(W, params):
    """W' and the step of each entry by loops, with float16 through numpy."""
    found, steps = np.zeros(W.shape), np.zeros(W.shape)
    size = params.group or W.shape[1]
    for i in range(W.shape[0]):
        for start in range(0, W.shape[1], size):
            part = W[i, start : start + size].numpy()
            top = 2**params.bits - 1
            if params.symmetric:
                step = np.abs(part).max() / (2 ** (params.bits - 1) - 1)
            else:
                step = (max(part.max(), 0) - min(part.min(), 0)) / top
            half = np.float16(step)
            if half < step:
                half = np.nextafter(half, np.float16(np.inf))
            half = float(half) if step else 1.0
            middle = 2 ** (params.bits - 1)
            zero = middle if params.symmetric else np.round(-min(part.min(), 0) / half)
            code = np.clip(np.round(part / half) + zero, 0, top)
            found[i, start : start + size] = half * (code - zero)
            steps[i, start : start + size] = half
    return torch.from_numpy(found), torch.from_numpy(steps)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("group", [0, 8, 24, 64])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("shift", [0.0, 3.0, -3.0])
def test_every_weight_is_within_half_a_step(bits, group, symmetric, shift):
    W = normal(9, 43) + shift
    params = Params(bits, group, symmetric)
    option, form = made(W, params)
    expected, steps = naive(W, params)
    found = form.dense().double()
    assert torch.equal(found, expected)
    assert ((found - W).abs() <= steps / 2 * (1 + 1e-12)).all()
    assert option.error == pytest.approx((W - expected).square().sum().item(), rel=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.floats(-6, 2), st.sampled_from(BITS), st.booleans(), st.integers(0, 99))
def test_half_a_step_holds_at_every_scale(exponent, bits, symmetric, seed):
    W = normal(4, 30, seed=seed) * 10**exponent
    params = Params(bits, 16, symmetric)
    codes, scale, zero = rounded(W, params)
    middle = 2 ** (bits - 1) if zero is None else zero.double().repeat_interleave(16, 1)[:, :30]
    step = scale.double().repeat_interleave(16, 1)[:, :30]
    assert (((codes.double() - middle) * step - W).abs() <= step / 2 * (1 + 1e-12)).all()
    # Rounded up to float16, the step is hardly wider than it must be.
    groups = W[:, :16]
    if symmetric:
        least = groups.abs().amax(1) / (2 ** (bits - 1) - 1)
    else:
        least = (groups.amax(1).clamp(min=0) - groups.amin(1).clamp(max=0)) / (2**bits - 1)
    assert (scale[:, 0].double() <= least * (1 + 2**-10) + 2**-24).all()


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("cols", [64, 96, 61])
@pytest.mark.parametrize("group", [0, 32, 64])
@pytest.mark.parametrize("symmetric", [False, True])
def test_the_size_is_exact_to_the_byte(bits, cols, group, symmetric):
    option, form = made(normal(7, cols), Params(bits, group, symmetric))
    total = 7 * cols
    codes = {8: total, 4: (total + 1) // 2, 3: 3 * ((total + 7) // 8)}[bits]
    groups = 7 * (-(-cols // group) if group else 1)
    beside = groups * (2 if symmetric else 4)
    saved = sum(t.numel() * t.element_size() for t in form.state_dict().values())
    assert option.bytes == form.stored_bytes(torch.float16) == saved == codes + beside
    assert option.numbers == form.numbers() == total
    assert form.index_bytes() == beside


def test_four_bits_in_groups_of_64_take_28_percent_of_float16():
    option, _ = made(normal(64, 256), Params())
    assert option.bytes / (2 * 64 * 256) == pytest.approx((4 + 32 / 64) / 16)
    assert option.words == "4 bits, asymmetric, groups of 64"


@pytest.mark.parametrize("seed", range(3))
def test_fewer_bits_and_wider_groups_are_worse(seed):
    W = normal(32, 256, seed=seed)
    by_bits = [made(W, Params(bits))[0].error for bits in BITS]
    assert by_bits[0] < by_bits[1] / 50 < by_bits[2] / 50
    variants = [Params(3, 0, True), Params(3, 0), Params(3, 64), Params(3, 32)]
    errors = [made(W, params)[0].error for params in variants]
    assert errors == sorted(errors, reverse=True)
    assert len(set(errors)) == 4


@pytest.mark.parametrize("symmetric", [False, True])
def test_zeros_stay_zeros(symmetric):
    W = normal(4, 32)
    W[1] = 0
    W[2, ::3] = 0
    found = made(W, Params(3, 16, symmetric))[1].dense()
    assert (found[W == 0] == 0).all()


def test_inputs_stay_as_they_are_and_any_dtype_will_do():
    W = normal(4, 32).to(torch.bfloat16)
    kept = W.clone()
    codes, _, _ = rounded(W, Params())
    assert torch.equal(W, kept)
    assert torch.equal(codes, rounded(W.double(), Params())[0])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_weight_that_is_no_number_names_its_layer(bad):
    W = normal(4, 32)
    W[1, 2] = bad
    with pytest.raises(NonFiniteLayer, match=r"blocks\.0\.q: its weight holds NaN or infinity"):
        rtn([piece(W)], Params())


def test_a_scale_beyond_float16_names_its_layer():
    with pytest.raises(NonFiniteLayer, match=r"blocks\.0\.q: a scale of its groups, in float16,"):
        rtn([piece(normal(4, 32) * 1e7)], Params())


def test_it_is_found_by_name_with_its_settings():
    method = find("rtn")
    assert (method.sizes, method.scope, method.sized, method.needs) == ("own", "matrix", False, ())
    given = parse(method, {"bits": "3", "group": "32", "symmetric": "yes"})
    assert dataclasses.astuple(given) == (3, 32, True)
    with pytest.raises(AnalysisError, match="expected bits to be one of 8, 4, 3"):
        parse(method, {"bits": "2"})
