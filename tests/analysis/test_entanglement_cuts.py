import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.numerics.entanglement import cuts, entropy
from analysis.numerics.entanglement.entropy_controls import (
    departure,
    isospectral,
    permuted,
    random_frame,
)
from tests.matrices import gauss

EVERY = 2**30


def naive(X: np.ndarray, left: int) -> float:
    """The entropy of a cut from the singular values of the reshaped matrix."""
    s = np.linalg.svd(np.asarray(X, float).reshape(left, -1), compute_uv=False)
    p = s**2 / (s**2).sum()
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (1, ()), (2, (2,)), (64, (2,) * 6), (97, (97,)), (768, (2,) * 8 + (3,)),
        (50257, (29, 1733)), (2 * 3 * 49 * 11, (2, 3, 7, 7, 11)),
    ],
)  # fmt: skip
def test_prime_factors(n, expected):
    assert cuts.prime_factors(n) == expected


@given(st.integers(1, 5000))
@settings(max_examples=25, deadline=None)
def test_factors_are_primes_in_order_and_multiply_to_the_number(n):
    found = cuts.prime_factors(n)
    assert math.prod(found) == n
    assert list(found) == sorted(found)
    assert all(all(p % d for d in range(2, p)) for p in found)


SHAPES = [(64, 64), (64, 256), (256, 64), (30, 42), (7, 12), (12, 7), (36, 5), (210, 4), (13, 11)]


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("unit", [1.0, 8.0])
def test_partial_traces_are_the_naive_svds_from_either_side(shape, seed, unit):
    W = torch.from_numpy(gauss(seed, *shape)) * unit
    for X in (W, W.T):
        sites = cuts.prime_factors(len(X))
        found = cuts.side_of(X, unit).entropies(sites, EVERY)
        expected = [naive(X.contiguous().numpy(), left) for left in cuts.left_dimensions(sites)]
        assert found == pytest.approx(expected, abs=1e-9)
        by_entries = cuts.ByEntries(X.contiguous(), unit).entropies(sites, EVERY)
        assert by_entries == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_turning_the_sites_around_makes_right_cuts_left_ones(shape):
    W = torch.from_numpy(gauss(5, *shape))
    m, n = shape
    sites = cuts.prime_factors(n)
    side = cuts.side_of(W.T).at(cuts.reversed_order(sites))
    found = side.entropies(sites[::-1], EVERY)
    lefts = [m * left for left in cuts.left_dimensions(sites)]
    assert found[::-1] == pytest.approx([naive(W.numpy(), left) for left in lefts], abs=1e-9)


def test_no_gram_matrix_is_larger_than_the_root_of_the_entries(monkeypatch):
    sizes = []
    own = cuts.gram
    monkeypatch.setattr(cuts, "gram", lambda X, unit=1.0: sizes.append(len(X)) or own(X, unit))
    W = torch.from_numpy(gauss(0, 29 * 17, 12))
    cuts.side_of(W).entropies((17, 29), EVERY)
    cuts.side_of(W.T).entropies((2, 2, 3), EVERY)
    assert max(sizes) <= math.isqrt(W.numel())


def test_a_cut_beyond_the_largest_is_left_out_and_the_others_stay():
    W = torch.from_numpy(gauss(0, 64, 48))
    sites = cuts.prime_factors(64)
    whole = cuts.side_of(W).entropies(sites, EVERY)
    found = cuts.side_of(W).entropies(sites, 8)
    assert [math.isnan(s) for s in found] == [False, False, False, True, True]
    assert found[:3] == pytest.approx(whole[:3], abs=1e-12)


@pytest.mark.parametrize("scale", [1e-170, 1e-4, 1e4, 1e150])
def test_no_scale_changes_an_entropy(scale):
    W = torch.from_numpy(gauss(0, 12, 20))
    own = cuts.side_of(W).entropies((2, 2, 3), EVERY)
    scaled = cuts.side_of(W * scale, unit=scale).entropies((2, 2, 3), EVERY)
    assert scaled == pytest.approx(own, abs=1e-12)


def page_by_the_sum(small, large):
    terms = sum(1 / k for k in range(large + 1, small * large + 1))
    return terms - (small - 1) / (2 * large)


@pytest.mark.parametrize(("small", "large"), [(2, 2), (2, 2048), (8, 512), (64, 64), (7, 1000)])
def test_the_page_value_is_its_sum(small, large):
    assert entropy.page_value(small, large) == pytest.approx(page_by_the_sum(small, large))
    assert entropy.page_value(large, small) == entropy.page_value(small, large)


@pytest.mark.parametrize(
    ("left", "expected"),
    [(2, 0.6928), (4, 1.3845), (8, 2.0718), (16, 2.7415), (32, 3.3409), (64, 3.6590)],
)
def test_the_page_values_of_a_64_by_64_matrix(left, expected):
    assert entropy.page_value(left, 4096 // left) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(
    ("length", "expected"), [(64, 1.526647), (256, 1.788038), (1024, 1.996183)]
)
def test_uniform_causal_attention(length, expected):
    assert entropy.uniform_causal_entropy(length) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("deviation", "expected"), [(0.5, 1.798), (1.0, 4.285)])
def test_the_estimate_for_gaussian_logits_at_512_tokens(deviation, expected):
    assert entropy.gaussian_logits_estimate(512, deviation) == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize(("deviation", "expected"), [(0.5, 1.790), (1.0, 4.246)])
def test_the_estimate_is_near_attention_of_gaussian_logits(deviation, expected):
    logits = deviation * np.random.default_rng(0).standard_normal((512, 512))
    A = torch.softmax(torch.from_numpy(logits), dim=1)
    measured = float(entropy.entropy(torch.linalg.svdvals(A).square()))
    assert measured == pytest.approx(expected, abs=0.01)
    assert entropy.gaussian_logits_estimate(512, deviation) == pytest.approx(measured, abs=0.05)


@pytest.mark.parametrize("deviation", [0.0, 1e-9, 30.0])
def test_the_estimate_at_its_ends(deviation):
    expected = math.log(64) - 0.5 if deviation > 1 else 0.0
    assert entropy.gaussian_logits_estimate(64, deviation) == pytest.approx(expected, abs=1e-9)


def test_the_isospectral_control_has_the_spectrum_and_nothing_else():
    values, sites = np.geomspace(1, 0.01, 12), (2, 2, 3)
    drawn = isospectral(values, sites, draws=2, seed=[3, 0], largest=EVERY)
    generator = np.random.default_rng([3, 0])
    for row in drawn:
        U = random_frame(12, 12, generator).numpy()
        assert np.linalg.svd(U * values, compute_uv=False) == pytest.approx(values)
        V = np.linalg.qr(np.random.default_rng(9).standard_normal((20, 12)))[0]
        assert row == pytest.approx([naive((U * values) @ V.T, left) for left in (2, 4)], abs=1e-9)


def test_the_permuted_control_is_the_matrix_with_its_rows_in_another_order():
    W = gauss(1, 30, 44)
    drawn = permuted(
        cuts.side_of(torch.from_numpy(W)), (2, 3, 5), draws=3, seed=[1, 1], largest=EVERY
    )
    generator = np.random.default_rng([1, 1])
    for row in drawn:
        shuffled = W[generator.permutation(30)]
        assert row == pytest.approx([naive(shuffled, left) for left in (2, 6)], abs=1e-9)


def test_draws_differ_and_a_seed_repeats_them():
    values = np.geomspace(1, 0.1, 8)

    def drawn(seed):
        return isospectral(values, (2, 2, 2, 2), draws=3, seed=[seed, 0], largest=EVERY)

    assert (drawn(0) == drawn(0)).all()
    assert len(np.unique(drawn(0)[:, 1])) == 3
    assert (drawn(0) != drawn(1)).all()


def test_the_departure_by_its_definition():
    own, drawn = np.array([1.0, 2.0]), np.array([[1.5, 2.1], [1.4, 2.3], [1.6, 1.9], [1.3, 2.2]])
    far, signed, deviations = departure(own, drawn)
    mean = drawn.mean(axis=0)
    assert far == pytest.approx(np.abs(own - mean).mean())
    assert signed == pytest.approx((own - mean).mean())
    among = [np.abs(drawn[i] - np.delete(drawn, i, axis=0).mean(axis=0)).mean() for i in range(4)]
    assert deviations == pytest.approx((far - np.mean(among)) / np.std(among, ddof=1))


def test_one_more_draw_departs_by_nothing_on_average():
    values, sites = np.geomspace(1, 0.05, 24), (2, 2, 2, 3)
    found = []
    for seed in range(40):
        drawn = isospectral(values, sites, draws=31, seed=[seed, 0], largest=EVERY)
        found.append(departure(drawn[0], drawn[1:])[2])
    # A mean of 40 numbers of spread 1 is within 0.5 of its own mean by 3 standard errors.
    assert abs(np.mean(found)) < 0.5
    assert 0.5 < np.std(found) < 2


def test_controls_that_do_not_differ_have_no_deviations():
    same = np.ones((5, 3))
    assert departure(np.zeros(3), same)[2] is None
