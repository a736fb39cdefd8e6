"""Two-sided whitening: what it expects of the loss, and how much of the gradients it takes."""

import pytest
import torch

from analysis.numerics.shrinkage import shrunk
from analysis.registry import AnalysisError
from tests.analysis.compress.calibrated import (
    errors,
    factors,
    inputs,
    layer,
    norm,
    normal,
    own_weights,
    piece,
    statistics,
    tails,
)

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPES = [(24, 40), (40, 24), (32, 32)]
EACH_SHAPE = pytest.mark.parametrize("shape", SHAPES)


@EACH_SHAPE
def test_two_sides_expect_less_loss_than_one(shape):
    given, _, _ = layer(*shape)
    left, right = own_weights("two_sided_svd", given)
    scale = norm(left @ given.W @ right)
    found = {
        name: errors(given.W, *factors(name, given), left, right)
        for name in ("two_sided_svd", "whitened_svd", "svd")
    }
    both = found["two_sided_svd"]
    for name in ("whitened_svd", "svd"):
        pairs = list(zip(both, found[name], strict=True))
        assert all(b <= other + 1e-6 * scale for b, other in pairs)
        assert max(other - b for b, other in pairs) > 1e-2 * scale


def test_equal_gradients_make_two_sides_the_whitened_one():
    m, n, k = 24, 40, 9
    X = inputs(n, 400)
    white = 3.0 * torch.linalg.qr(normal(m, m)).Q * m**0.5  # ggᵀ/m = 9 I
    given = piece(normal(m, n), statistics(X, white))
    B, A = factors("whitened_svd", given)
    C, D = factors("two_sided_svd", given)
    torch.testing.assert_close(C[:, :k] @ D[:k], B[:, :k] @ A[:k], rtol=0, atol=1e-9)


def test_white_inputs_and_a_diagonal_make_two_sides_the_mirror_of_a_weighted_svd():
    m, n, k = 24, 40, 9
    X = torch.linalg.qr(normal(n, n)).Q * n**0.5
    given = piece(normal(m, n), statistics(X, inputs(m, 400, outliers=10.0)))
    B, A = factors("two_sided_svd", given, gradient="diagonal", shrinkage="none")
    d = given.statistics.gradient.diagonal()
    weights = (d + 1e-6 * d.mean()).sqrt()
    U, s, Vt = torch.linalg.svd(weights[:, None] * given.W, full_matrices=False)
    wanted = (U[:, :k] * s[:k] @ Vt[:k]) / weights[:, None]
    torch.testing.assert_close(B[:, :k] @ A[:k], wanted, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("asked", "kept"), [("diagonal", "diagonal"), ("scalar", "diagonal"),
                                             ("scalar", "scalar"), ("diagonal", "full"),
                                             ("scalar", "full")])  # fmt: skip
def test_a_smaller_gradient_is_taken_from_a_whole_one(asked, kept):
    given, _, _ = layer(24, 40, gradient=kept)
    whole, _, _ = layer(24, 40)
    B, A = factors("two_sided_svd", given, gradient=asked)
    C, D = factors("two_sided_svd", whole, gradient=asked)
    assert torch.equal(B, C)
    assert torch.equal(A, D)
    if asked == "scalar":
        assert torch.equal(A, factors("whitened_svd", whole)[1])


@pytest.mark.parametrize(("asked", "kept"), [("full", "diagonal"), ("full", "scalar"),
                                             ("diagonal", "scalar")])  # fmt: skip
def test_more_of_the_gradient_than_was_kept_is_refused(asked, kept):
    given, _, _ = layer(24, 40, gradient=kept)
    with pytest.raises(AnalysisError, match=rf"at blocks\.0\.q: calibrate with gradient={asked}"):
        factors("two_sided_svd", given, gradient=asked)


def test_few_tokens_shrink_the_gradients_as_well():
    given, _, _ = layer(24, 40, tokens=20)
    found = given.statistics
    assert float(torch.linalg.eigvalsh(found.gradient)[0]) < 1e-12
    B, A = factors("two_sided_svd", given)
    left, right = (torch.linalg.cholesky(shrunk(G, 20)) for G in (found.gradient, found.gram))
    wanted = tails(left.T @ given.W @ right, 24)
    assert errors(given.W, B, A, left.T, right) == pytest.approx(wanted, abs=1e-6 * wanted[0])
