"""A product of two factors, measured through them and never formed."""

import numpy as np
import pytest
import torch

from analysis.numerics.low_rank import LowRank
from analysis.numerics.row_blocks import InMemory
from analysis.weights.matrix import Label, Matrix, NonFinite
from tests.matrices import planted

SHAPES = [(40, 30, 5), (30, 40, 5), (6, 40, 9), (40, 6, 9), (7, 5, 7), (3, 2, 1)]
LABEL = Label("w", "w", "w", None, "delta")


def factors(rows, cols, rank, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    B = torch.randn(rows, rank, generator=generator, dtype=torch.float64)
    A = torch.randn(rank, cols, generator=generator, dtype=torch.float64)
    return B.to(dtype), A.to(dtype)


def low_rank(B, A, scale=1.0):
    return LowRank(InMemory(B), InMemory(A), scale)


def matrix(B, A, scale=1.0):
    return Matrix(low_rank(B, A, scale), LABEL, "key")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [1.0, -2.5, 1e-3])
def test_singular_values_are_those_of_the_product(shape, scale):
    B, A = factors(*shape)
    naive = np.linalg.svd(scale * (B @ A).numpy(), compute_uv=False)
    found = matrix(B, A, scale).spectrum()

    assert found.values == pytest.approx(naive, abs=1e-14 * naive[0] * max(shape))
    assert (found.values[shape[2] :] == 0).all()
    assert (found.values > found.noise_floor).sum() == min(shape)


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_factors_and_blocks_are_those_of_the_product(shape):
    B, A = factors(*shape, dtype=torch.float32)
    subject = matrix(B, A, -2.0)
    product = -2 * B.double() @ A.double()
    left, right = subject.factors()

    torch.testing.assert_close(left @ right, product)
    torch.testing.assert_close(subject.dense(), product)
    torch.testing.assert_close(torch.cat([b.clone() for _, b in subject.blocks()]), product)
    assert subject.stored_bytes == 4 * shape[2] * (shape[0] + shape[1])


def test_vectors_are_those_of_the_product():
    U, V = matrix(*factors(40, 30, 5)).leading_vectors()
    product = (factors(40, 30, 5)[0] @ factors(40, 30, 5)[1]).numpy()
    left, _, right = np.linalg.svd(product)

    assert (U.shape, V.shape) == ((40, 5), (30, 5))
    assert np.abs((U * left[:, :5]).sum(0)) == pytest.approx(np.ones(5), abs=2e-3)  # float16
    assert np.abs((V * right[:5].T).sum(0)) == pytest.approx(np.ones(5), abs=2e-3)
    assert (V[np.abs(V).argmax(0), range(5)] > 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("seed", range(3))
def test_the_floor_bounds_what_rounding_the_factors_does(dtype, seed):
    B, A = factors(300, 200, 8, seed)
    stored = low_rank(B.to(dtype), A.to(dtype), 3.0)
    change = 3 * (B.to(dtype).double() @ A.to(dtype).double() - B @ A)
    actual = torch.linalg.matrix_norm(change, 2).item()
    floor, name = stored.error()

    assert name == str(dtype).removeprefix("torch.")
    # c is 4 or 12 and the bracket of norms is not exceeded by more than the factor's own spread.
    assert actual < floor < 40 * actual


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_direction_that_only_rounding_has_does_not_count(dtype):
    B, A = factors(200, 100, 6)
    B[:, 5] = B[:, :5].sum(1)  # rank 5 until it is rounded
    A[5] = A[0]
    found = matrix(B.to(dtype), A.to(dtype)).spectrum()

    assert found.values[5] > 0
    assert (found.values > found.noise_floor).sum() == 5


def test_wider_files_keep_the_rounding_of_their_values():
    B, A = factors(50, 40, 3, dtype=torch.bfloat16)
    assert low_rank(B.float(), A.float()).error() == low_rank(B, A).error()


def test_a_zero_factor_gives_a_zero_matrix():
    B, A = factors(9, 7, 2)
    found = matrix(0 * B, A).spectrum()
    assert (found.values == 0).all()
    assert len(found.values) == 7


def test_a_factor_that_is_not_finite_is_refused():
    B, A = factors(9, 7, 2)
    A[1, 3] = np.inf
    with pytest.raises(NonFinite, match="holds NaN or infinity"):
        matrix(B, A).spectrum()


def test_factors_must_meet():
    with pytest.raises(ValueError, match=r"expected factors that meet, got \(9, 2\) and \(3, 7\)"):
        low_rank(torch.ones(9, 2), torch.ones(3, 7))


def test_the_shuffled_product_has_its_entries():
    subject = matrix(*factors(30, 20, 2))
    shuffled = subject.shuffled(0).values
    assert (shuffled**2).sum() == pytest.approx((subject.spectrum().values ** 2).sum())
    assert shuffled[10] > 0


@pytest.mark.parametrize("shape", [(1, 5), (700, 3)])
def test_blocks_of_any_matrix_are_its_rows(shape, monkeypatch):
    monkeypatch.setattr("analysis.weights.matrix.block_rows", lambda columns: 256)
    tensor = planted([2.0], *shape, dtype=torch.float16)
    found = [(start, block.clone()) for start, block in Matrix.of(tensor).blocks()]

    assert [start for start, _ in found] == list(range(0, shape[0], 256))
    assert torch.equal(torch.cat([block for _, block in found]), tensor.double())
    assert Matrix.of(tensor).factors() is None
