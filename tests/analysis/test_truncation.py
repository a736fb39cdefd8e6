"""The two factors that a low-rank layer is made of."""

import pytest
import torch

from analysis.numerics.truncation import balanced_factors

SHAPES = [(40, 24), (24, 40), (30, 30)]


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rank", [0, 1, 7, 24])
@pytest.mark.parametrize("seed", range(3))
def test_the_squared_error_is_the_energy_of_the_tail(shape, rank, seed):
    W = normal(*shape, seed=seed)
    B, A = balanced_factors(W, rank)
    assert (B.dtype, B.shape, A.shape) == (W.dtype, (shape[0], rank), (rank, shape[1]))
    tail = torch.linalg.svdvals(W.double())[rank:].square().sum().item()
    error = (W - B @ A).double().square().sum().item()
    assert error == pytest.approx(tail, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rank", [1, 7, 24])
def test_a_forward_pass_is_that_of_the_truncated_matrix(shape, rank):
    W, x = normal(*shape), normal(5, shape[1], seed=1)
    B, A = balanced_factors(W, rank)
    U, s, Vt = torch.linalg.svd(W.double(), full_matrices=False)
    expected = x.double() @ ((U[:, :rank] * s[:rank]) @ Vt[:rank]).T
    error = (x @ A.T) @ B.T - expected
    assert torch.linalg.matrix_norm(error) <= 1e-5 * torch.linalg.matrix_norm(expected)


def test_the_factors_share_the_scale():
    B, A = balanced_factors(normal(30, 20), 5)
    s = torch.linalg.svdvals(normal(30, 20))[:5]
    torch.testing.assert_close(B.T @ B, torch.diag(s), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(A @ A.T, torch.diag(s), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rank", [-1, 21])
def test_a_rank_that_does_not_exist_is_refused(rank):
    with pytest.raises(ValueError, match=f"expected a rank from 0 to 20, got {rank}"):
        balanced_factors(normal(30, 20), rank)
