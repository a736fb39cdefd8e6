"""The correction of a residual: against the paper's route, and against one without inputs."""

import pytest
import torch

from analysis.compress.eora import compensate, compensate_plain
from analysis.compress.whitened_svd import Params, whitened_svd
from tests.analysis.compress.calibrated import inputs, norm, normal, piece, statistics

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPES = [(24, 40), (40, 24), (32, 32)]
EACH_SHAPE = pytest.mark.parametrize("shape", SHAPES)


def rounded(W, bits):
    """W to a few levels per row, the compression that is to be corrected."""
    step = W.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 0.5)
    return (W / step).round() * step


@EACH_SHAPE
@pytest.mark.parametrize("rank", [0, 1, 8, 24])
def test_it_is_what_the_eigenvectors_of_the_inputs_give(shape, rank):
    """ΔW Q Λ^½ = UΣVᵀ, B = U√Σ_r and A = √Σ_r V_rᵀ Λ^-½ Qᵀ."""
    W, found = normal(*shape), statistics(inputs(shape[1], 400))
    dW = W - rounded(W, 3)
    B, A = compensate(dW, found, rank)
    assert (B.shape, A.shape) == ((shape[0], rank), (rank, shape[1]))
    values, Q = torch.linalg.eigh(found.gram)
    U, s, Vt = torch.linalg.svd(dW @ Q * values.sqrt(), full_matrices=False)
    wanted = (U[:, :rank] * s[:rank] @ Vt[:rank] / values.sqrt()) @ Q.T
    torch.testing.assert_close(B @ A, wanted, rtol=0, atol=1e-9)


@EACH_SHAPE
@pytest.mark.parametrize("tokens", [10, 400])
def test_of_the_whole_matrix_it_is_the_whitened_svd(shape, tokens):
    W, found = normal(*shape), statistics(inputs(shape[1], tokens))
    tensors = whitened_svd([piece(W, found)], Params())
    for rank in (1, 5, 20):
        B, A = compensate(W, found, rank)
        wanted = tensors["blocks.0.q.B"][:, :rank] @ tensors["blocks.0.q.A"][:rank]
        torch.testing.assert_close(B @ A, wanted, rtol=0, atol=1e-8)


@EACH_SHAPE
@pytest.mark.parametrize("outliers", [1.0, 100.0])
def test_it_is_never_worse_than_a_correction_without_inputs(shape, outliers):
    W, X = normal(*shape), inputs(shape[1], 400, outliers=outliers)
    dW, better = W - rounded(W, 3), 0
    for rank in range(25):
        B, A = compensate(dW, statistics(X), rank)
        C, D = compensate_plain(dW, rank)
        ours, plain = norm((dW - B @ A) @ X), norm((dW - C @ D) @ X)
        assert ours <= plain + 1e-12 * norm(dW @ X)
        assert norm(dW - C @ D) <= norm(dW - B @ A) + 1e-12 * norm(dW)
        better += ours < 0.99 * plain
    assert better > 10


def test_shrinkage_is_passed_on():
    W, few = normal(24, 40), statistics(inputs(40, 20))
    automatic, named, none = (
        torch.matmul(*compensate(W, few, 5, how)) for how in ("auto", "ledoit_wolf", "none")
    )
    assert torch.equal(automatic, named)
    assert norm(automatic - none) > 1e-2 * norm(W)


@pytest.mark.parametrize("rank", [-1, 25])
def test_a_rank_that_does_not_exist_is_refused(rank):
    with pytest.raises(ValueError, match=f"expected a rank from 0 to 24, got {rank}"):
        compensate(normal(24, 40), statistics(inputs(40, 90)), rank)
    with pytest.raises(ValueError, match=f"expected a rank from 0 to 24, got {rank}"):
        compensate_plain(normal(24, 40), rank)
