"""Estimates of a spectrum from products, beside the spectrum itself."""

import numpy as np
import pytest
import torch

from analysis.numerics.hessian.estimate import estimate
from analysis.numerics.hessian.extreme_eigenvalues import largest
from analysis.numerics.hessian.hutchinson import hutchinson
from analysis.numerics.hessian.lanczos import lanczos
from analysis.numerics.hessian.lanczos_quadrature import count_above, quadratures, smoothed
from tests.analysis.chains import dense_shapes, saved_chain, whole

EPS = np.finfo(float).eps


def symmetric(eigenvalues, seed=0):
    generator = torch.Generator().manual_seed(seed)
    size = len(eigenvalues)
    Q = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64)).Q
    return (Q * torch.as_tensor(eigenvalues, dtype=torch.float64)) @ Q.T


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def probes(A, count, steps, seed=0):
    return quadratures(lambda v: A @ v, A, (len(A), count, steps), seeded(seed), lambda: None)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scale", [1.0, 1e-9, 1e9])
def test_it_ends_after_the_distinct_eigenvalues(seed, scale):
    """Five values that are not zero, in 40 directions, and zero itself: six steps."""
    values = np.repeat([4.0, 2.0, 1.0, -1.0, -3.0, 0.0], [1, 2, 1, 1, 1, 34]) * scale
    A = symmetric(values, seed)
    products = []
    start = torch.randn(40, generator=seeded(seed), dtype=torch.float64)

    def times(v):
        products.append(v)
        return A @ v

    found = lanczos(times, start, 30)
    assert found.exhausted
    assert len(products) == len(found.nodes) == 6
    assert found.nodes / scale == pytest.approx([-3, -1, 0, 1, 2, 4], abs=40 * EPS * 4)
    assert found.weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("seed", range(3))
def test_moments_are_those_of_the_matrix(seed):
    """A quadrature of m nodes gives vᵀ A^k v exactly for k < 2m."""
    A = symmetric(np.linspace(-1, 2, 50), seed)
    v = torch.randn(50, generator=seeded(seed), dtype=torch.float64)
    found = lanczos(lambda x: A @ x, v, 5)
    assert not found.exhausted
    power, unit = v / v.norm(), v / v.norm()
    for k in range(10):
        assert float(unit @ power) == pytest.approx(
            (found.weights * found.nodes**k).sum(), rel=1e-10
        )
        power = A @ power


def test_all_steps_keep_the_vectors_orthogonal():
    """Without re-orthogonalisation the well separated value would come again and again."""
    values = np.concatenate([np.linspace(0, 1, 99), [100.0]])
    A = symmetric(values)
    found = lanczos(lambda x: A @ x, torch.ones(100, dtype=torch.float64), 100)
    assert np.abs(np.sort(found.nodes) - np.sort(values)).max() < 100 * EPS * 100


def test_a_zero_matrix_and_one_step():
    found = lanczos(torch.zeros_like, torch.ones(7, dtype=torch.float64), 5)
    assert (found.nodes.tolist(), found.weights.tolist(), found.exhausted) == ([0.0], [1.0], True)
    assert lanczos(lambda v: 2 * v, torch.ones(1, dtype=torch.float64), 5).exhausted


@pytest.mark.parametrize("seed", range(4))
def test_the_count_covers_the_rank(seed):
    values = np.zeros(200)
    values[:60] = np.linspace(1, 3, 60) * np.tile([1, -1], 30)
    found = count_above(probes(symmetric(values, seed), 40, 80, seed), 200, 1e-8)
    # Weights of a start on the sphere follow a Beta(30, 70): p times its spread, over √40.
    assert found.se == pytest.approx(200 * np.sqrt(30 * 70 / (100**2 * 101)) / np.sqrt(40), rel=0.4)
    assert abs(found.mean - 60) < 4 * found.se
    assert found.low < found.mean < found.high


def test_the_interval_is_students():
    found = estimate(np.arange(40.0))
    assert found.se == pytest.approx(np.arange(40).std(ddof=1) / np.sqrt(40))
    assert found.reach == pytest.approx(2.0227 * found.se, rel=1e-4)  # 39 degrees
    assert (found.low, found.high) == (19.5 - found.reach, 19.5 + found.reach)


def test_a_single_probe_tells_no_error():
    found = estimate([3.0])
    assert (found.mean, found.se, found.low, found.high) == (3.0, None, None, None)


@pytest.mark.parametrize("seed", range(4))
def test_the_trace_lies_within_three_standard_errors(seed):
    first, second = (
        symmetric(np.linspace(0, 3, 60), seed),
        symmetric(np.linspace(-1, 1, 60), seed + 9),
    )
    found = hutchinson(
        lambda z: (first @ z, second @ z), first, (60, 100), seeded(seed), lambda: None
    )
    for A, trace in zip((first + second, first, second), found, strict=True):
        assert abs(trace.mean - float(A.trace())) < 3 * trace.se
        off = A - torch.diag(A.diagonal())
        assert trace.se == pytest.approx(float(np.sqrt(2) * off.norm()) / 10, rel=0.4)


def test_signs_give_a_diagonal_without_error():
    A = torch.diag(torch.arange(9.0, dtype=torch.float64))
    total, _, _ = hutchinson(lambda z: (A @ z, 0 * z), A, (9, 5), seeded(), lambda: None)
    assert (total.mean, total.se) == (36, 0)


@pytest.mark.parametrize("seed", range(3))
def test_the_largest_are_the_largest_by_size(seed):
    values = np.concatenate([[-9.0, 7, 6, -5, 4], np.linspace(-1, 1, 95)])
    A = symmetric(values, seed)
    found = largest(lambda v: A @ v, A, (100, 4), seeded(seed), lambda: None)
    assert found.converged
    assert found.values == pytest.approx([-9, 7, 6, -5], rel=1e-12)


@pytest.mark.parametrize("rank", [0, 1, 3])
def test_fewer_than_asked_for_are_followed_by_zeros(rank):
    values = np.zeros(30)
    values[:rank] = np.arange(1, rank + 1)
    A = symmetric(values)
    found = largest(lambda v: A @ v, A, (30, 6), seeded(), lambda: None).values
    assert len(found) == 6
    expected = [*range(rank, 0, -1), *[0] * (6 - rank)]
    assert found == pytest.approx(expected, abs=30 * EPS * max(rank, 1))


def test_the_density_is_that_of_the_eigenvalues():
    values = np.linspace(-1, 1, 300)
    found = smoothed(probes(symmetric(values), 20, 40))
    step = found.grid[1] - found.grid[0]
    assert found.values.sum() * step == pytest.approx(1, abs=1e-3)
    inside = np.abs(found.grid) < 0.8
    # A uniform density of 1/2; 40 steps leave a ripple of a few per cent.
    assert found.values[inside].mean() == pytest.approx(0.5, abs=0.02)
    assert (found.errors[inside] > 0).all()
    width = 2 / (39 * np.sqrt(8 * np.log(3)))
    assert found.grid[-1] == pytest.approx(1 + 3 * width, abs=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_estimates_of_a_small_net_agree_with_its_matrix(tmp_path, seed):
    """6-10-1: rank 25 of 70, once more from products alone."""
    path = saved_chain(tmp_path, dense_shapes(6, 10, 1), seed=seed)
    exact = whole(path, seed=seed)
    row = whole(path, exact_limit=1, tolerance=1e-8, starts=100, steps=70, parts=True, seed=seed)
    assert (row.method, exact.method) == ("estimated", "exact")
    assert exact.rank == 25
    assert abs(row.rank - 25) < 3 * row.rank_se < 4
    assert row.rank_low < 25 < row.rank_high
    assert row.rank_outer == pytest.approx(6, abs=2)
    assert row.rank_functional == pytest.approx(20, abs=4)
    # Some come as ±λ, in either order.
    assert np.abs(row.top_eigenvalues) == pytest.approx(np.abs(exact.top_eigenvalues), rel=1e-10)
    for name in ("trace", "trace_outer", "trace_functional"):
        error = getattr(row, f"{name}_se")
        assert abs(getattr(row, name) - getattr(exact, name)) < 3 * error
        assert getattr(exact, f"{name}_se") == 0
    assert row.threshold == pytest.approx(1e-8 * abs(exact.eigenvalues[0]))
    assert row.eigenvalues is row.gap is row.rank_float32 is row.negative is None
    assert (row.bound, row.value) == (exact.bound, pytest.approx(exact.value))


def test_more_starts_give_a_smaller_error(tmp_path):
    path = saved_chain(tmp_path, dense_shapes(6, 10, 1))
    few, many = (
        whole(path, exact_limit=1, tolerance=1e-8, starts=starts, steps=70) for starts in (10, 160)
    )
    assert many.rank_se == pytest.approx(few.rank_se / 4, rel=0.5)
    single = whole(path, exact_limit=1, starts=1, traces=1)
    assert single.rank_se is single.rank_low is single.trace_se is single.density_se is None


def test_float32_is_for_estimates_and_in_the_row(tmp_path):
    path = saved_chain(tmp_path, dense_shapes(6, 10, 1))
    narrow = whole(path, exact_limit=1, dtype="float32")
    wide = whole(path, exact_limit=1)
    assert (narrow.dtype, wide.dtype) == ("float32", "float64")
    assert narrow.top_eigenvalues[:3] == pytest.approx(wide.top_eigenvalues[:3], rel=1e-5)
    assert 1e-10 < narrow.split_residual < 1e-5
    exact = whole(path, dtype="float32")
    assert (exact.method, exact.dtype, exact.rank) == ("exact", "float64", 25)


def test_fewer_steps_are_the_beginning_of_more():
    A = symmetric(np.linspace(-1, 2, 50))
    start = torch.randn(50, generator=seeded(3), dtype=torch.float64)
    long, short = (lanczos(lambda v: A @ v, start, steps) for steps in (20, 7))
    assert long.after(7).nodes == pytest.approx(short.nodes)
    assert long.after(7).weights == pytest.approx(short.weights)
    assert long.after(20) is long


@pytest.mark.parametrize("seed", range(4))
def test_a_count_without_a_node_near_zero_does_not_look_certain(seed):
    """With ten steps no node is within 0.01 of zero, so all 300 count, with no spread at all."""
    values = np.linspace(-1, 1, 300) ** 3
    A = symmetric(values, seed)
    truth = (np.abs(values) > 0.01).sum()
    few = count_above(probes(A, 10, 10, seed), 300, 0.01)
    assert (few.mean, few.se) == (pytest.approx(300), pytest.approx(0, abs=1e-10))
    assert few.low < truth
    more = count_above(probes(A, 10, 80, seed), 300, 0.01)
    assert more.low < truth < more.high
    assert abs(more.mean - truth) < 40
    assert more.low > few.low + 40


def test_an_interval_too_wide_to_use_is_said(tmp_path):
    path = saved_chain(tmp_path, dense_shapes(12, 12, 12))
    wide = whole(path, activation="tanh", exact_limit=1, steps=4, tolerance=1e-6)
    assert "the rank is anything from" in wide.warning
    assert whole(path, activation="tanh", exact_limit=1, steps=200, starts=40).warning is None
