"""Spectra from second moments against the singular values of the activations themselves."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.numerics.activation_spectra import (
    directions,
    moments,
    of_acts,
    of_inputs,
    of_outputs,
    output_values,
    participation_ratio,
    positions,
    through,
)

F64 = torch.float64
SHAPES = [(5, 12, 40), (30, 12, 40), (12, 12, 200), (20, 12, 7), (3, 12, 7)]  # m, n, N


def normal(*shape, seed=0):
    return torch.randn(shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def rotation(n, seed):
    return torch.linalg.qr(normal(n, n, seed=seed)).Q


def powers(values):
    """Singular values of activations X (n, N) as eigenvalues of their second moment."""
    return np.linalg.svd(values.numpy(), compute_uv=False) ** 2 / values.shape[1]


def padded(values, length):
    return np.pad(values, (0, max(0, length - len(values))))[:length]


@pytest.mark.parametrize(("m", "n", "tokens"), SHAPES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_spectra_are_those_of_x_and_of_wx(m, n, tokens, seed):
    X = torch.logspace(0, -2, n, dtype=F64)[:, None] * normal(n, tokens, seed=seed) + 0.3
    W = normal(m, n, seed=seed + 10)
    found = moments(X @ X.T / tokens)
    outputs = output_values(through(W, found), found.values)
    # Products round at n ε of the largest eigenvalue.
    assert found.values == pytest.approx(padded(powers(X), n), abs=1e-13 * found.values[0])
    assert len(outputs) == min(m, n)
    assert outputs == pytest.approx(padded(powers(W @ X), min(m, n)), abs=1e-13 * outputs[0])
    assert (found.values[tokens:] == 0).all()  # no more directions than tokens
    assert (outputs[tokens:] == 0).all()


@pytest.mark.parametrize("m", [5, 30])
def test_where_w_acts_is_its_norm_in_the_leading_directions(m):
    X, W = torch.logspace(0, -2, 12, dtype=F64)[:, None] * normal(12, 90), normal(m, 12, seed=4)
    V = torch.linalg.svd(X).U
    found = moments(X @ X.T / 90)
    acts = of_acts(through(W, found), found.values)
    naive = [float((W @ V[:, :k] @ V[:, :k].T).square().sum() / W.square().sum()) for k in
             map(int, acts.acts_at)]  # fmt: skip
    assert acts.acts_at == tuple(map(float, range(1, 13)))
    assert acts.acts == pytest.approx(naive, abs=1e-12)
    inside = next(k for k in range(1, 13) if powers(X)[:k].sum() >= 0.95 * powers(X).sum())
    assert acts.acts_95 == pytest.approx(naive[inside - 1], abs=1e-12)
    assert acts.acts_95_chance == inside / 12


@pytest.mark.parametrize("rank", [1, 3, 20])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_planted_subspace_is_counted_exactly(rank, seed):
    U = rotation(40, seed)[:, :rank]
    found = moments(7.5 * U @ U.T)
    inputs = of_inputs(found.values, whole=True)
    assert inputs.input_dimension == pytest.approx(rank)
    assert inputs.input_effective_rank == pytest.approx(rank)
    assert (inputs.input_95, inputs.input_99) == (-(-rank * 95 // 100), -(-rank * 99 // 100))
    assert sum(value > 0 for value in inputs.input_values) == rank
    turned = of_outputs(output_values(through(rotation(40, 9), found), found.values))
    assert turned.output_dimension == pytest.approx(rank)
    assert turned.output_95 == inputs.input_95


def test_w_inside_outside_and_half_inside_of_the_input():
    V, values = rotation(10, 0), torch.tensor([2.0, 1.0, *[0.0] * 8], dtype=F64)
    found = moments(V @ torch.diag(values) @ V.T)
    inside, outside = normal(6, 2) @ V[:, :2].T, normal(6, 8) @ V[:, 2:].T
    acts = of_acts(through(inside, found), found.values)
    assert (acts.acts_95, acts.acts_95_chance) == (pytest.approx(1), 0.2)
    P = through(outside, found)
    assert of_acts(P, found.values).acts_95 == pytest.approx(0, abs=1e-12)
    both = inside / inside.norm() + outside / outside.norm()
    assert of_acts(through(both, found), found.values).acts_95 == pytest.approx(0.5)


def test_an_output_that_is_always_zero_has_no_dimensions():
    found = moments(torch.diag(torch.tensor([1.0, 2.0], dtype=F64)))
    P = through(torch.zeros(3, 2), found)
    assert set(vars(of_outputs(output_values(P, found.values))).values()) == {None}
    assert set(vars(of_acts(P, found.values)).values()) == {None}


def test_random_weights_act_by_chance():
    X = torch.logspace(0, -2, 60, dtype=F64)[:, None] * normal(60, 400)
    found = moments(X @ X.T / 400)
    acts = [of_acts(through(normal(80, 60, seed=s), found), found.values) for s in range(20)]
    mean = np.mean([a.acts for a in acts], axis=0)
    # Each share spreads by at most √(½/(80·60)); the mean of 20 by less than 0.003.
    assert mean == pytest.approx(np.arange(1, 61) / 60, abs=0.01)
    assert np.mean([a.acts_95 for a in acts]) == pytest.approx(acts[0].acts_95_chance, abs=0.01)


@given(st.integers(0, 99), st.sampled_from([1e-12, 1.0, 1e9]))
@settings(max_examples=12, deadline=None)
def test_rotations_and_scales_change_no_dimension(seed, scale):
    X, W = normal(8, 30, seed=seed), normal(5, 8, seed=seed + 1)
    Q, U = rotation(8, seed + 2), rotation(5, seed + 3)
    one, other = moments(X @ X.T / 30), moments(scale**2 * Q @ X @ X.T @ Q.T / 30)
    turned = scale * U @ W @ Q.T
    a, b = (of_inputs(found.values, whole=False) for found in (one, other))
    assert list(vars(a).values())[:2] == pytest.approx(list(vars(b).values())[:2])
    assert (a.input_95, a.input_99) == (b.input_95, b.input_99)
    P, R = through(W, one), through(turned, other)
    outputs = [of_outputs(output_values(p, f.values)) for p, f in ((P, one), (R, other))]
    assert outputs[0].output_dimension == pytest.approx(outputs[1].output_dimension)
    assert outputs[0].output_99 == outputs[1].output_99
    assert of_acts(P, one.values).acts == pytest.approx(of_acts(R, other.values).acts, abs=1e-9)


def test_dimensions_of_known_spectra():
    values = np.array([4.0, 2.0, 1.0, 1.0])
    assert participation_ratio(values) == pytest.approx(64 / 22)
    assert of_inputs(values, whole=True).input_effective_rank == pytest.approx(
        np.exp(-(0.5 * np.log(0.5) + 0.25 * np.log(0.25) + 0.25 * np.log(0.125)))
    )
    assert [directions(values, share) for share in (0.5, 0.51, 0.75, 0.8, 0.95)] == [1, 2, 2, 3, 4]
    assert of_inputs(values, whole=False).input_values is None


@pytest.mark.parametrize("n", [1, 2, 128, 129, 1000, 20_000])
def test_positions_are_few_and_have_both_ends(n):
    at = positions(n)
    assert (at[0], at[-1]) == (1, n)
    assert len(at) <= 128
    assert (np.diff(at) > 0).all()
    if n <= 128:
        assert at.tolist() == list(range(1, n + 1))
    else:
        assert np.diff(at).max() < n / 40  # no gap that a page would show


def test_nothing_larger_than_the_smaller_side_is_made(monkeypatch):
    sizes = []
    eigvalsh = torch.linalg.eigvalsh
    monkeypatch.setattr(torch.linalg, "eigvalsh", lambda A: sizes.append(A.shape) or eigvalsh(A))
    found = moments(torch.eye(6, dtype=F64))
    for m in (2, 500):
        output_values(through(normal(m, 6), found), found.values)
    assert sizes == [(2, 2), (6, 6)]
