"""Two ways to the singular values, each against numpy's plain SVD."""

import numpy as np
import pytest
import torch

from analysis.numerics import decomposition, row_blocks
from analysis.numerics.decomposition import (
    blocked_r,
    gram_error,
    gram_singular_values,
    leading_vectors,
    qr_singular_values,
    singular_values,
)
from analysis.numerics.row_blocks import blocks_of
from tests.matrices import planted

SHAPES = [(64, 64), (90, 30), (300, 40), (41, 7), (9, 1)]


@pytest.fixture(params=[7, 1024, 2**20])
def block_entries(request, monkeypatch):
    monkeypatch.setattr(row_blocks, "BLOCK_ENTRIES", request.param)


def plain(matrix):
    return np.linalg.svd(matrix.double().numpy(), compute_uv=False)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.usefixtures("block_entries")
def test_every_method_agrees_with_the_plain_svd(shape, seed):
    matrix = planted(np.geomspace(5, 0.1, min(shape)), *shape, seed)
    expected = plain(matrix)
    for method in (singular_values, gram_singular_values, qr_singular_values):
        assert method(blocks_of(matrix), shape) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_stored_dtypes_are_widened_exactly(dtype):
    matrix = torch.randn(80, 30, generator=torch.Generator().manual_seed(0)).to(dtype)
    found = singular_values(blocks_of(matrix), (80, 30))
    assert found == pytest.approx(plain(matrix), rel=1e-12)


def test_a_wide_matrix_is_turned():
    matrix = planted([3, 2, 1], 3, 50)
    assert singular_values(blocks_of(matrix), (50, 3)) == pytest.approx([3, 2, 1], rel=1e-12)


def test_a_wide_shape_is_refused():
    with pytest.raises(ValueError, match=r"at least as many rows as columns, got \(3, 50\)"):
        singular_values(blocks_of(planted([1], 3, 50)), (3, 50))


@pytest.mark.parametrize("shape", [(200, 200), (2000, 100)])
@pytest.mark.parametrize("smallest", [1e-2, 1e-4, 1e-6, 1e-9, 0.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_error_of_a_gram_matrix_stays_below_its_bound(shape, smallest, seed):
    values = np.append(np.geomspace(1, max(smallest, 1e-12), min(shape) - 1), smallest)
    matrix = planted(values, *shape, seed)
    gram = decomposition._gram(blocks_of(matrix), "cpu")
    found = torch.linalg.eigvalsh(gram).flip(0).clamp_min(0).sqrt().numpy()
    exact = qr_singular_values(blocks_of(matrix), shape)
    assert (np.abs(found - exact) <= gram_error(found, shape) + 1e-15).all()


def test_a_small_tail_is_not_certified_and_comes_from_qr():
    values = np.geomspace(1, 1e-10, 40)
    matrix = planted(values, 400, 40)
    assert gram_singular_values(blocks_of(matrix), (400, 40)) is None
    assert singular_values(blocks_of(matrix), (400, 40)) == pytest.approx(values, rel=1e-4)


def test_a_harmless_error_is_certified():
    matrix = planted(np.geomspace(1, 1e-6, 40), 400, 40)
    assert gram_singular_values(blocks_of(matrix), (400, 40)) is None
    assert gram_singular_values(blocks_of(matrix), (400, 40), resolution=1e-6) is not None


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_an_exactly_singular_matrix_has_an_exactly_small_tail(dtype):
    matrix = planted(np.linspace(2, 1, 30), 90, 30).to(dtype)
    matrix[:, 20:] = 0
    found = singular_values(blocks_of(matrix), (90, 30), resolution=1e-3)
    assert (found[20:] < 1e-14).all()


def test_squares_beyond_float64_are_not_certified():
    matrix = planted([3e200, 1e200], 4, 2)
    assert singular_values(blocks_of(matrix), (4, 2)) == pytest.approx([3e200, 1e200])


@pytest.mark.parametrize("scale", [1e-150, 1e-158, 1e-162])
def test_squares_that_lose_digits_are_not_certified(scale):
    values = np.linspace(2, 1, 20)
    matrix = planted(values, 60, 20) * scale
    assert gram_singular_values(blocks_of(matrix), (60, 20)) is None
    assert singular_values(blocks_of(matrix), (60, 20)) / scale == pytest.approx(values, rel=1e-10)


@pytest.mark.usefixtures("block_entries")
def test_r_of_the_blocked_qr_has_the_gram_matrix_of_the_whole():
    matrix = planted(np.linspace(2, 1, 12), 100, 12)
    R = blocked_r(blocks_of(matrix))
    assert R.shape == (12, 12)
    torch.testing.assert_close(R.T @ R, matrix.T @ matrix)


@pytest.mark.usefixtures("block_entries")
@pytest.mark.parametrize("seed", range(3))
def test_leading_vectors_are_those_of_the_svd_up_to_sign(seed):
    matrix = planted(np.geomspace(4, 1, 12), 60, 12, seed)
    U, V = leading_vectors(blocks_of(matrix), 5)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    assert (U * left[:, :5]).sum(0).abs() == pytest.approx(np.ones(5), abs=1e-9)
    assert (V * right[:5].T).sum(0).abs() == pytest.approx(np.ones(5), abs=1e-9)
    assert torch.equal(V.gather(0, V.abs().argmax(0, keepdim=True)) > 0, torch.ones(1, 5) > 0)
    torch.testing.assert_close(matrix @ V, U * torch.linalg.svdvals(matrix)[:5])
