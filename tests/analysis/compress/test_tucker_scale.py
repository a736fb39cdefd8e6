"""Attention's matrices of different norms in one tensor: each counts as much as the others."""

from dataclasses import replace

import pytest
import torch

from analysis.compress.registry import Option
from analysis.compress.tucker import Params, build, stacked, stacks, tucker
from tests.analysis.compress.test_tucker import (
    GROUPED,
    MULTI,
    TRIPLES,
    attention,
    louder,
    made,
    tails,
)


@pytest.mark.parametrize("iterations", [0, 20])
@pytest.mark.parametrize("heads", [MULTI, GROUPED])
def test_of_unit_scale_no_norm_changes_anything_but_its_own_matrix(heads, iterations):
    """T -> T diag(a): the sizes and their ranks stay, and each matrix is a times what it was."""
    pieces, params = attention(heads), Params(iterations, "unit")
    factors = (1000.0, 1.0, 0.001, 30.0)
    found, make = made(pieces, params)
    others, make_other = made(louder(pieces, factors), params)
    assert [o.values for o in others] == [o.values for o in found]
    for at in (1, len(found) // 2, -2):
        forms, others_forms = make(found[at]), make_other(others[at])
        for piece, a in zip(pieces, factors, strict=True):
            W, other = forms[piece.layer].dense(), others_forms[piece.layer].dense()
            assert (other - a * W).norm() <= 1e-7 * a * piece.W.norm()


def test_unscaled_the_largest_matrix_takes_all_that_is_left():
    pieces = louder(attention(), (1000.0, 1.0, 1.0, 1.0))
    worst = {}
    for scale in ("unit", "none"):
        found, make = made(pieces, Params(scale=scale))
        half = [o for o in found if o.numbers <= 0.5 * o.of_numbers][-1]
        forms = make(half)
        lost = [(p.W - forms[p.layer].dense()).norm() / p.W.norm() for p in pieces]
        worst[scale] = max(lost).item()
    assert worst["unit"] < 0.8 < worst["none"]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ranks", TRIPLES)
def test_the_bounds_are_those_of_the_scaled_tensor(ranks, seed):
    pieces = louder([replace(p, W=p.W.roll(seed, 0)) for p in attention()])
    params = Params(scale="unit")
    tensors = tucker(pieces, params)
    form = build(pieces, tensors, Option(0, 0, 0.0, ranks, ""), params)
    own = torch.stack([p.W.norm() for p in pieces])
    T = stacked(stacks(pieces)[0]) / own.numpy()
    lost = sum(((p.W - form[p.layer].dense()) / p.W.norm()).square().sum() for p in pieces)
    tail = tails(T, ranks)
    assert max(tail) - 1e-12 <= lost <= sum(tail) + 1e-12


@pytest.mark.parametrize("heads", [MULTI, GROUPED])
def test_full_ranks_are_exact_for_the_smallest_matrix_too(heads):
    pieces = louder(attention(heads))
    found, make = made(pieces)
    forms = make(found[-1])
    for piece in pieces:
        assert (forms[piece.layer].dense() - piece.W).norm() <= 1e-10 * piece.W.norm()


def test_scaling_leaves_the_energy_of_a_block():
    """So that what is stored in 16 bits has the magnitudes of the weights."""
    pieces = louder(attention(GROUPED))
    tensors = tucker(pieces, Params(scale="unit"))
    cores = [t.square().sum() for name, t in tensors.items() if name.endswith("core")]
    assert sum(cores) == pytest.approx(sum(p.W.square().sum() for p in pieces).item(), rel=1e-12)
    assert cores[0] == pytest.approx(cores[1].item(), rel=1e-12)


@pytest.mark.parametrize("iterations", [0, 20])
def test_a_matrix_of_zeros_beside_others_stays_zero(iterations):
    pieces = louder(attention(), (1.0, 0.0, 1.0, 1.0))
    found, make = made(pieces, Params(iterations))
    for option in (found[len(found) // 2], found[-1]):
        forms = make(option)
        assert all(form.dense().isfinite().all() for form in forms.values())
        assert forms["blocks.0.k"].dense().norm() <= 1e-7 * pieces[0].W.norm()
    assert found[-1].error == 0
