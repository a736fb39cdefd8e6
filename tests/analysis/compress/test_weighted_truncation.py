"""Nested factors against the tails of the singular values that they should leave out."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.numerics import weighted_truncation
from analysis.numerics.weighted_truncation import nested_factors, scaled_root
from tests.analysis.compress.calibrated import errors, inputs, norm, normal, tails

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPES = [(40, 60), (60, 40), (48, 48), (1, 9), (9, 1), (200, 12), (12, 200)]
EACH_SHAPE = pytest.mark.parametrize("shape", SHAPES)
BOTH_WAYS = pytest.mark.parametrize("certified", [1e-5, float("inf")], ids=["eigh", "svd"])


@BOTH_WAYS
@EACH_SHAPE
@pytest.mark.parametrize("seed", range(2))
def test_without_weights_the_error_is_the_tail_of_the_spectrum(shape, seed, certified, monkeypatch):
    monkeypatch.setattr(weighted_truncation, "CERTIFIED", certified)
    W = normal(*shape, seed=seed)
    B, A = nested_factors(W)
    rank = min(shape)
    assert (B.shape, A.shape) == ((shape[0], rank), (rank, shape[1]))
    assert errors(W, B, A) == pytest.approx(tails(W, rank), abs=1e-13 * norm(W))
    torch.testing.assert_close(B.T @ B, torch.eye(rank, dtype=B.dtype), rtol=0, atol=1e-13)


@BOTH_WAYS
@pytest.mark.parametrize("outliers", [1.0, 1000.0])
@pytest.mark.parametrize(
    ("m", "n", "tokens"),
    [(160, 160, 100), (80, 160, 100), (300, 160, 100), (160, 160, 800), (250, 40, 400)],
)
def test_the_whitened_error_is_the_tail_of_what_the_layer_puts_out(
    m, n, tokens, outliers, certified, monkeypatch
):
    """Also with fewer tokens than channels, and with channels a thousand times the others."""
    monkeypatch.setattr(weighted_truncation, "CERTIFIED", certified)
    W, X = normal(m, n, seed=m), inputs(n, tokens, seed=tokens, outliers=outliers)
    B, A = nested_factors(W, right=X @ X.T / tokens)
    rank, WX = min(m, n), W @ X
    ranks = sorted({*range(0, rank, 9), 99, 100, 101, rank - 1, rank} & set(range(rank + 1)))
    found, wanted = errors(W, B, A, right=X, ranks=ranks), tails(WX, rank, ranks)
    assert found == pytest.approx(wanted, abs=1e-10 * norm(WX))
    assert norm(W - B @ A) <= 1e-13 * norm(W)


def test_eigh_alone_would_lose_those_digits():
    """The check is needed: with σ from 1 to 1e-8, eigenvectors of MMᵀ are 1e-9 ‖M‖ off."""
    U, V = (torch.linalg.qr(normal(120, 120, seed=seed)).Q for seed in (1, 2))
    M = U * torch.logspace(0, -8, 120, dtype=torch.float64) @ V.T
    by_eigh = torch.linalg.eigh(M @ M.T).eigenvectors.flip(1)
    wanted, off = tails(M, 120), 1e-11 * norm(M)
    assert errors(M, by_eigh, by_eigh.T @ M) != pytest.approx(wanted, abs=off)
    assert errors(M, *nested_factors(M)) == pytest.approx(wanted, abs=1e-3 * off)


@pytest.mark.parametrize("weights", ["none", "right", "both", "diagonals"])
@EACH_SHAPE
def test_full_rank_is_the_matrix_itself(shape, weights):
    m, n = shape
    W = normal(m, n, seed=3)
    few = inputs(n, max(1, n // 2), seed=4)
    steep = normal(m, 2 * m, seed=5) * torch.logspace(0, -2, m, dtype=torch.float64)[:, None]
    right = {"none": None, "diagonals": few.square().sum(1)}.get(weights, few @ few.T)
    left = {"both": steep @ steep.T, "diagonals": steep.square().sum(1)}.get(weights)
    B, A = nested_factors(W, left, right)
    assert B.shape[1] == min(shape)
    # H is inverted, and its condition is at most √(1e6 m); without L there is none to invert.
    assert norm(W - B @ A) <= (1e-13 if left is None else 1e-11) * norm(W)


@EACH_SHAPE
def test_two_sides_leave_the_tail_of_the_doubly_weighted_matrix(shape):
    m, n = shape
    W, X, Y = normal(m, n, seed=1), inputs(n, 3 * n, seed=2), inputs(m, 3 * m, seed=3)
    left, right = Y @ Y.T, X @ X.T
    raised = left + 1e-6 * left.trace() / m * torch.eye(m, dtype=left.dtype)
    H, F = torch.linalg.cholesky(raised).T, torch.linalg.cholesky(right)
    found = errors(W, *nested_factors(W, left, right), H, F)
    wanted = tails(H @ W @ F, min(shape))
    assert found == pytest.approx(wanted, abs=1e-11 * norm(H @ W @ F))


def test_a_diagonal_is_the_whole_matrix_that_it_stands_for():
    W, d, e = normal(20, 30), normal(20, seed=1).square(), normal(30, seed=2).square()
    B, A = nested_factors(W, d, e)
    C, D = nested_factors(W, torch.diag(d), torch.diag(e))
    for k in (1, 7, 19):
        torch.testing.assert_close(B[:, :k] @ A[:k], C[:, :k] @ D[:k], rtol=0, atol=1e-9)


def test_the_right_of_a_matrix_is_the_left_of_its_transpose():
    """A left weight has a ridge, which the right one is given here as well."""
    W, d = normal(30, 20), normal(20, seed=1).square()
    ridge = weighted_truncation.LEFT_RIDGE * d.mean()
    B, A = nested_factors(W, right=d + ridge)
    C, D = nested_factors(W.T, left=d)
    for k in (1, 7, 19):
        torch.testing.assert_close((C[:, :k] @ D[:k]).T, B[:, :k] @ A[:k], rtol=0, atol=1e-9)


@pytest.mark.parametrize("shape", [(30, 50), (50, 30), (50, 50)])
def test_beyond_the_rank_of_the_inputs_the_weights_themselves_decide(shape):
    W, X = normal(*shape), inputs(shape[1], 10)
    B, A = nested_factors(W, right=X @ X.T)
    rest = W - B[:, :10] @ A[:10]
    assert norm(rest @ X) <= 1e-12 * norm(W @ X)
    wanted = tails(rest, min(shape) - 10)
    assert errors(W, B, A)[10:] == pytest.approx(wanted, abs=1e-12 * norm(W))


@pytest.mark.parametrize("shape", [(8, 12), (12, 8)])
def test_weights_of_zeros_are_no_weights(shape):
    W = normal(*shape)
    m, n = shape
    B, A = nested_factors(W, W.new_zeros(m), W.new_zeros(n, n))
    assert errors(W, B, A) == pytest.approx(tails(W, min(shape)), abs=1e-13 * norm(W))
    B, A = nested_factors(torch.zeros_like(W))
    assert norm(B @ A) == 0


def test_the_scale_of_a_weight_says_nothing():
    W, X = normal(20, 30), inputs(30, 90)
    G = X @ X.T
    for scale in (1e-30, 1e30):
        B, A = nested_factors(W, G[:20, :20] * scale, G * scale)
        C, D = nested_factors(W, G[:20, :20], G)
        for k in (3, 15):
            torch.testing.assert_close(B[:, :k] @ A[:k], C[:, :k] @ D[:k], rtol=0, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 20), st.integers(0, 99))
def test_no_random_matrix_of_that_rank_is_better(m, n, tokens, seed):
    W, X = normal(m, n, seed=seed), inputs(n, tokens, seed=seed)
    B, A = nested_factors(W, right=X @ X.T)
    for k in range(min(m, n) + 1):
        best = norm((W - B[:, :k] @ A[:k]) @ X)
        V = normal(n, k, seed=seed + 1)
        # With one factor random, the other at its best: W X (V'X)⁺.
        fitted = W @ X @ torch.linalg.pinv(V.T @ X) @ V.T
        assert best <= norm((W - fitted) @ X) + 1e-12 * norm(W @ X)


def test_a_tall_matrix_makes_none_of_its_rows_by_its_rows(monkeypatch):
    """Of a head of 3,000 rows, 3,000 x 3,000 would be 72 MB."""
    largest = 0
    real = torch.linalg.eigh

    def watched(matrix):
        nonlocal largest
        largest = max(largest, matrix.numel())
        return real(matrix)

    monkeypatch.setattr(torch.linalg, "eigh", watched)
    W, X = normal(3000, 16), inputs(16, 8)
    B, A = nested_factors(W, right=X @ X.T)
    assert (B.shape, largest) == ((3000, 16), 256)
    assert norm(W - B @ A) <= 1e-13 * norm(W)


@pytest.mark.parametrize("tokens", [3, 12, 40])
def test_a_root_squares_to_its_matrix_and_passes_over_dead_channels(tokens):
    X = inputs(12, tokens, outliers=1e4)
    X[5] = 0
    G = X @ X.T
    F = scaled_root(G)
    scale = G.diagonal().sqrt()
    assert bool(((F @ F.T - G).abs() <= 1e-13 * scale[:, None] * scale).all())
    assert norm(F[5]) == 0


def test_a_singular_root_keeps_what_is_small_but_known():
    X = inputs(12, 8)
    X[:, 7] *= 1e-4  # one token alone in its direction: an eigenvalue of about 1e-8
    G = X @ X.T
    F = scaled_root(G)
    assert F.shape == (12, 8)
    assert norm(F @ F.T - G) <= 1e-13 * norm(G)


def test_inputs_are_not_changed():
    W, G, L = normal(6, 8).float(), torch.eye(8), torch.eye(6)
    before = W.clone(), G.clone(), L.clone()
    B, A = nested_factors(W, L, G)
    assert (B.dtype, A.dtype) == (torch.float64, torch.float64)
    for tensor, copy in zip((W, G, L), before, strict=True):
        assert torch.equal(tensor, copy)


@pytest.mark.parametrize(
    ("W", "left", "right", "words"),
    [
        (torch.ones(3), None, None, r"a matrix, got a tensor of shape \(3,\)"),
        (torch.full((2, 2), torch.nan), None, None, "a finite matrix, got NaN"),
        (torch.ones(2, 3), torch.ones(3), None, r"left weight of shape \(2,\) or \(2, 2\), got"),
        (torch.ones(2, 3), None, torch.ones(2, 2), r"right weight of shape \(3,\) or \(3, 3\)"),
        (torch.ones(2, 3), None, torch.full((3,), torch.inf), "a right weight that is finite"),
        (torch.ones(2, 3), -torch.ones(2), None, "a left weight that is finite and positive"),
        (torch.ones(2, 2), torch.tensor([[1.0, 2], [2, 1]]), None, "left weight that is positive"),
        (torch.tensor([[1.0, 1], [1, 1]]), None, torch.tensor([[1.0, 2], [2, 1]]), "right weight"),
    ],
)
def test_a_mistake_is_named(W, left, right, words):
    with pytest.raises(ValueError, match=words):
        nested_factors(W, left, right)
