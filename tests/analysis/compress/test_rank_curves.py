"""Error curves against one product of matrices per rank."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis.compress.allocation.rank_curves import RankCurves, rank_curves
from analysis.compress.pieces import TokenSample
from analysis.numerics.weighted_truncation import nested_factors
from tests.analysis.compress.calibrated import inputs, normal, statistics

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPES = [(20, 32), (32, 20), (24, 24), (1, 5), (5, 1)]


def trace(E, gram, left=None):
    """‖left^½ E gram^½‖² from its definition, tr(left E gram Eᵀ)."""
    product = E @ gram @ E.T
    return float(product.trace() if left is None else (left @ product).trace())


def naive(W, B, A, found):
    curves = {"plain": [], "whitened": [], "heldout": [], "expected": [], "first_order": []}
    gradient = found.gradient
    if gradient.ndim == 1:
        gradient = torch.diag(gradient.expand(len(W)))
    for k in range(A.shape[0] + 1):
        E = W - B[:, :k] @ A[:k]
        curves["plain"].append(float(E.square().sum()))
        curves["whitened"].append(trace(E, found.gram))
        curves["heldout"].append(trace(E, found.heldout))
        curves["expected"].append(trace(E, found.gram, gradient) / 2)
        curves["first_order"].append(-float((found.slope * E).sum()))
    return curves


def made(m, n, gradient="full", tokens=90):
    X, other, Y = inputs(n, tokens, outliers=20), inputs(n, tokens, draw=1), inputs(m, 90, seed=5)
    slope = normal(m, n, seed=9).float()
    return normal(m, n, seed=m), statistics(X, Y, other, gradient=gradient, slope=slope)


@pytest.mark.parametrize("weights", ["none", "right", "both"])
@pytest.mark.parametrize("gradient", ["full", "diagonal", "scalar"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_rank_is_what_its_own_product_gives(shape, gradient, weights):
    W, found = made(*shape, gradient)
    both = made(*shape)[1].gradient if weights == "both" else None
    B, A = nested_factors(W, both, None if weights == "none" else found.gram)
    curves = rank_curves(W, B, A, found).to_dict()
    for name, wanted in naive(W, B, A, found).items():
        assert curves[name].shape == (min(shape) + 1,)
        assert curves[name].dtype == np.float64
        np.testing.assert_allclose(
            curves[name], wanted, rtol=1e-9, atol=1e-11 * max(map(abs, wanted))
        )
        assert curves[name][-1] == 0


def sampled(m, n, tokens=40, calls=2, name="tokens"):
    return TokenSample(
        name, normal(calls, tokens, n, seed=11).float(), normal(calls, tokens, m, seed=12).float()
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_with_a_sample_of_tokens_the_expected_loss_is_over_them(shape):
    W, found = made(*shape)
    sample = sampled(*shape)
    B, A = nested_factors(W, right=found.gram)
    curves = rank_curves(W, B, A, replace(found, sample=sample))
    z = np.array([
        [
            sum(
                float(g[t].double() @ (W - B[:, :k] @ A[:k]) @ x[t].double())
                for g, x in zip(sample.g, sample.X, strict=True)
            )
            for t in range(40)
        ]
        for k in range(A.shape[0] + 1)
    ])  # fmt: skip
    np.testing.assert_allclose(curves.expected, 0.5 * (z**2).mean(1), rtol=1e-9, atol=1e-12)
    assert curves.expected[-1] == 0
    kept = curves.directions
    assert kept.sample == "tokens"
    lengths = np.sqrt((z**2).mean(1))
    for rank, unit in zip(kept.ranks, kept.unit.astype(float), strict=True):
        # A float16 rounds by at most 2^-11 of a number.
        np.testing.assert_allclose(unit * lengths[rank], z[rank], rtol=2**-10, atol=1e-6)
    without = rank_curves(W, B, A, found)
    assert without.directions is None
    for name in ("plain", "whitened", "heldout", "first_order"):
        assert np.array_equal(getattr(without, name), getattr(curves, name))


def test_small_errors_keep_their_digits():
    """The last σ is 1e-9 of the first: its square is far below the rounding of ‖W‖²."""
    U, V = (torch.linalg.qr(normal(30, 30, seed=seed)).Q for seed in (1, 2))
    s = torch.logspace(0, -9, 30, dtype=torch.float64)
    W = U * s @ V.T
    plain = rank_curves(W, *nested_factors(W), None).plain
    tails = s.square().flip(0).cumsum(0).flip(0).numpy()
    np.testing.assert_allclose(plain[:-1], tails, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_curve_is_negative_and_a_methods_own_never_rises(shape):
    W, found = made(*shape, tokens=4)
    for right, own in ((None, "plain"), (found.gram, "whitened")):
        curves = rank_curves(W, *nested_factors(W, right=right), found).to_dict()
        curves.pop("first_order")  # of either sign
        assert all((curve >= 0).all() for curve in curves.values())
        # But for the rounding of A G Aᵀ, where the error is zero in truth.
        assert (np.diff(curves[own]) <= 1e-16 * curves[own][0]).all()


def test_only_what_was_calibrated_is_there():
    W = normal(6, 9)
    B, A = nested_factors(W)
    assert list(rank_curves(W, B, A, None).to_dict()) == ["plain"]
    bare = statistics(inputs(9, 30))
    assert list(rank_curves(W, B, A, bare).to_dict()) == ["plain", "whitened"]
    assert rank_curves(W, B, A, bare).heldout is None
    assert RankCurves(np.zeros(2)).to_dict().keys() == {"plain"}


def test_the_matrix_may_be_stored_in_half_precision():
    W, found = made(6, 9)
    half = W.to(torch.bfloat16)
    curves = rank_curves(half, *nested_factors(half), found)
    assert curves.plain[0] == pytest.approx(float(half.double().square().sum()), rel=1e-12)


def test_a_matrix_of_zeros_has_curves_of_zeros():
    W = torch.zeros(4, 6)
    curves = rank_curves(W, *nested_factors(W), statistics(inputs(6, 20)))
    assert not curves.plain.any()
    assert not curves.whitened.any()


def test_factors_of_another_matrix_are_refused():
    W = normal(6, 9)
    B, A = nested_factors(W)
    for wrong in ((B, A * 1.001), (B[:, :5], A[:5]), (B * torch.nan, A)):
        with pytest.raises(ValueError, match="whose whole product is W"):
            rank_curves(W, *wrong, None)
