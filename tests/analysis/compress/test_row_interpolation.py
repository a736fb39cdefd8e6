"""The k rows of a product that its other rows are made of."""

import pytest
import torch

from analysis.compress.allocation.storage import costs
from analysis.numerics.row_interpolation import row_interpolation

SHAPES = [(40, 24), (24, 40), (30, 30), (24, 5)]


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def rebuilt(R, C, pivots):
    """W', a row at a time."""
    rows, others = [None] * (len(pivots) + len(C)), iter(C @ R)
    for place, row in zip(pivots.tolist(), R, strict=True):
        rows[place] = row
    return torch.stack([next(others) if row is None else row for row in rows])


def decaying(rows, cols, seed=0):
    U, _ = torch.linalg.qr(normal(rows, min(rows, cols), seed=seed))
    V, _ = torch.linalg.qr(normal(cols, min(rows, cols), seed=seed + 1))
    return U * 0.8 ** torch.arange(U.shape[1]), V.T


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rank", [0, 1, 7, 20, 24])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_product_in_k_times_m_plus_n_less_k_numbers(shape, rank, seed):
    rows, cols = shape
    rank = min(rank, *shape)
    B, A = normal(rows, rank, seed=seed), normal(rank, cols, seed=seed + 9)
    R, C, pivots = row_interpolation(B, A)
    W = B @ A
    torch.testing.assert_close(rebuilt(R, C, pivots), W, rtol=0, atol=1e-10 * (1 + W.norm().item()))
    held = R.numel() + C.numel()
    assert held == rank * (rows + cols - rank) <= rows * cols
    if rank < min(shape):
        assert held == costs(rows, cols, "row_interpolative")[rank]
    assert pivots.dtype == torch.int32
    assert pivots.tolist() == sorted(set(pivots.tolist()))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_chosen_rows_are_rows_of_the_product(shape):
    B, A = decaying(*shape)
    R, _, pivots = row_interpolation(B[:, :4], A[:4])
    expected = (B[:, :4] @ A[:4])[pivots.long()]
    torch.testing.assert_close(R, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("seed", range(5))
def test_rows_of_other_scale_in_the_columns_are_chosen_alike(seed):
    """The others' mixture depends on the span of B alone: scaling its columns changes nothing."""
    B, A = normal(60, 20, seed=seed), normal(20, 30, seed=seed + 1)
    _, C, pivots = row_interpolation(B, A)
    scale = 10.0 ** torch.linspace(-4, 4, 20, dtype=torch.float64)
    again = row_interpolation(B * scale, A / scale[:, None])
    assert again[2].tolist() == pivots.tolist()
    torch.testing.assert_close(again[1], C, rtol=0, atol=1e-9)
    assert C.abs().max() <= 10


def test_the_rows_that_come_first_are_no_choice():
    """Rows that almost depend on one another would need a mixture of huge coefficients."""
    B = normal(30, 4)
    B[1:4] = B[0] + 1e-6 * B[1:4]
    _, C, pivots = row_interpolation(B, normal(4, 10, seed=1))
    first = B[4:] @ torch.linalg.inv(B[:4])
    assert first.abs().max() > 1e4
    assert C.abs().max() < 10
    assert len({0, 1, 2, 3} & set(pivots.tolist())) <= 1


@pytest.mark.parametrize("rank", [3, 8])
def test_a_product_of_lower_rank_than_its_factors_is_exact(rank):
    B, A = normal(20, 3), normal(3, 15, seed=1)
    B, A = torch.cat((B, torch.zeros(20, 5)), 1), torch.cat((A, normal(5, 15, seed=2)))
    B, A = B[:, : max(rank, 3)], A[: max(rank, 3)]
    R, C, pivots = row_interpolation(B, A)
    torch.testing.assert_close(rebuilt(R, C, pivots), B @ A, rtol=0, atol=1e-10)


@pytest.mark.parametrize("shapes", [((5, 6), (6, 9)), ((9, 4), (3, 9))])
def test_factors_that_do_not_fit_are_refused(shapes):
    with pytest.raises(ValueError, match=r"expected B \(m x k\) and A \(k x n\), k <= m"):
        row_interpolation(normal(*shapes[0]), normal(*shapes[1]))
