"""The spectral norm by Lanczos, and the stable rank, against full decompositions."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.numerics.spectral_norm import NoStableRank, spectral_norm, stable_rank, stable_ranks
from analysis.numerics.switch import Settings, scale
from tests.matrices import orthonormal, planted

SINGLE = float(np.finfo(np.float32).eps)


def kaiming(rows=256, cols=1152):
    drawn = np.random.default_rng(0).standard_normal((rows, cols))
    return torch.from_numpy(drawn * math.sqrt(2 / cols))


def by_svd(W):
    squares = torch.linalg.svdvals(W.double().flatten(1)).square()
    return float(squares.sum() / squares[0])


def test_the_stable_rank_of_the_design():
    found = stable_rank(kaiming())
    assert found == pytest.approx(117.867, abs=5e-4)
    assert found == pytest.approx(256 * 1152 / (16 + math.sqrt(1152)) ** 2, rel=0.03)
    assert scale(found, 256, Settings()) == pytest.approx(2.18803, abs=5e-6)


def test_a_kernel_is_measured_as_rows_of_outputs():
    kernel = kaiming().reshape(256, 128, 3, 3)
    assert stable_rank(kernel) == pytest.approx(stable_rank(kaiming()), rel=SINGLE)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shape", [(64, 64), (30, 200), (200, 30), (21, 21), (5, 9), (1, 7)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_it_is_the_svds(shape, dtype, seed):
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
    # The tolerance bounds the relative error of the squared norm.
    assert stable_rank(drawn) == pytest.approx(by_svd(drawn), rel=SINGLE)


@settings(max_examples=25, deadline=None)
@given(
    power=st.floats(0, 3),
    ties=st.integers(1, 30),
    seed=st.integers(0, 99),
    exponent=st.integers(-150, 150),
)
def test_a_planted_norm_is_found_at_any_scale_and_with_ties(power, ties, seed, exponent):
    s = np.arange(1, 41.0) ** -power
    s[:ties] = 1
    W = planted(s, 60, 40, seed) * 10.0**exponent
    assert spectral_norm(W) == pytest.approx(10.0**exponent, rel=SINGLE)
    assert stable_rank(W) == pytest.approx((s**2).sum(), rel=SINGLE)


def test_a_nearly_tied_norm_is_right_to_the_tolerance():
    s = np.ones(80)
    s[1:] -= 1e-5 * np.arange(79)
    W = planted(s, 100, 80)
    assert stable_rank(W) == pytest.approx((s**2).sum(), rel=SINGLE)


def test_it_lies_between_one_and_full_rank():
    generator = np.random.default_rng(0)
    assert stable_rank(torch.from_numpy(orthonormal(50, 30, generator))) <= 30
    rank_one = torch.outer(torch.randn(40).double(), torch.randn(70).double())
    assert stable_rank(rank_one) >= 1
    assert int(stable_rank(rank_one)) == 1


def test_the_same_seed_gives_the_same_digits_and_the_input_is_left_alone():
    W = torch.randn(100, 60, generator=torch.Generator().manual_seed(1))
    kept = W.clone()
    assert spectral_norm(W, seed=3) == spectral_norm(W, seed=3)
    assert spectral_norm(W, seed=3) == pytest.approx(spectral_norm(W, seed=4), rel=SINGLE)
    assert torch.equal(W, kept)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_has_no_norm_is_refused(bad):
    W = torch.ones(30, 30)
    W[3, 4] = bad
    with pytest.raises(NoStableRank, match="NaN or infinity"):
        spectral_norm(W)
    with pytest.raises(NoStableRank, match="zero"):
        stable_rank(torch.zeros(30, 30))


def test_several_are_measured_and_what_has_none_is_none():
    found = stable_ranks({"a": torch.eye(5), "none": None, "zero": torch.zeros(3, 3)})
    assert found == {"a": pytest.approx(5), "none": None, "zero": None}


def lowest_bound(t, start, S, rate):
    """Return GaLore's bound on sr(G_t) for G_{t+1} = G_t - rate B G_t C, S = C (x) B."""
    values, vectors = np.linalg.eigh(S)
    parallel = (vectors[:, 0] * (vectors[:, 0] @ start.T.reshape(-1))).reshape(start.shape).T
    shrinks = (1 - rate * values[1]) / (1 - rate * values[0])
    other = np.sum((start - parallel) ** 2) / np.linalg.norm(start, 2) ** 2
    return by_svd(torch.from_numpy(parallel)) + shrinks ** (2 * t) * other


@pytest.mark.parametrize("seed", range(3))
def test_gradients_of_a_linear_flow_stay_under_the_lemmas_bound(seed):
    """GaLore, lemma 3.3: https://arxiv.org/abs/2403.03507."""
    generator = np.random.default_rng(seed)
    sides = []
    for _ in range(2):
        Q = orthonormal(12, 12, generator)
        sides.append((Q * np.linspace(0.05, 1, 12)) @ Q.T)
    B, C = sides
    rate, start = 0.5, generator.standard_normal((12, 12))
    G, seen = start, []
    for t in range(1001):
        if np.linalg.norm(G) < 1e-12 * np.linalg.norm(start):
            break  # its direction is rounding from here on
        found = stable_rank(torch.from_numpy(G))
        seen.append(found)
        assert found <= lowest_bound(t, start, np.kron(C, B), rate) * (1 + SINGLE)
        G = G - rate * B @ G @ C
    assert len(seen) == 1001
    assert seen[0] > 2
    assert seen[-1] == pytest.approx(1, abs=0.05)
