"""The fitted tail, against a loop that reads as the definition does."""

import numpy as np
import pytest

from analysis.numerics import power_law as fitting
from analysis.numerics.power_law import fit, p_value, power_law
from tests.matrices import reference

TARGETS = {
    "gauss": (9.938807, 22),
    "alpha3": (3.006638, 256),
    "spiked": (2.973212, 102),
    "rank16": (3.224310, 15),
}


def naive(values):
    """Return (KS, α, points) of the best x_min, one candidate after the other."""
    x = np.sort(values)
    best = (np.inf, np.inf, 0)
    for start in range(len(x) - 1):
        if start and x[start] == x[start - 1]:
            continue
        tail = x[start:]
        n, logs = len(tail), np.log(tail / tail[0])
        if logs.sum() == 0:
            continue
        alpha = 1 + n / logs.sum()
        ks = max(abs(1 - (v / tail[0]) ** (1 - alpha) - i / n) for i, v in enumerate(tail))
        if ks < best[0]:
            best = (ks, alpha, n)
    return best


def pareto(alpha, count, seed):
    return (1 - np.random.default_rng(seed).random(count)) ** (-1 / (alpha - 1))


def eigenvalues(name):
    values = np.linalg.svd(reference(name).double().numpy(), compute_uv=False)
    return values[values > 1e-5 * values[0]] ** 2


@pytest.mark.parametrize("name", TARGETS)
def test_the_reference_matrices(name):
    found = fit(eigenvalues(name))
    alpha, points = TARGETS[name]
    assert found.alpha == pytest.approx(alpha, abs=5e-7)
    assert found.points == points


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("chunk", [1, 1000, 2**17])
def test_every_start_at_once_is_the_loop(seed, chunk, monkeypatch):
    monkeypatch.setattr(fitting, "CHUNK_ENTRIES", chunk)
    generator = np.random.default_rng(seed)
    values = np.concatenate([generator.random(40) + 0.1, pareto(2.5, 30 + seed, seed) + 0.5])
    found, (ks, alpha, points) = fit(values), naive(values)
    assert found.points == points
    assert (found.alpha, found.ks) == pytest.approx((alpha, ks), rel=1e-12)
    assert found.xmin == np.sort(values)[-points]
    assert found.error == pytest.approx((alpha - 1) / np.sqrt(points))


@pytest.mark.parametrize("seed", range(3))
def test_ties_start_at_their_first_value(seed):
    values = np.repeat(pareto(3.0, 20, seed), 3)
    found, (ks, _, points) = fit(values), naive(values)
    assert (found.points, found.ks) == (points, pytest.approx(ks))


@pytest.mark.parametrize("alpha", [1.5, 2.5, 4.0])
def test_a_planted_exponent_comes_back(alpha):
    found = fit(pareto(alpha, 5000, 0))
    assert found.alpha == pytest.approx(alpha, abs=4 * found.error)


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 7.0, 1e8])
def test_no_scale_changes_the_fit(scale):
    values = eigenvalues("spiked")
    own, scaled = fit(values), fit(values * scale)
    assert scaled.points == own.points
    assert (scaled.alpha, scaled.ks) == pytest.approx((own.alpha, own.ks), rel=1e-9)
    assert scaled.xmin == pytest.approx(own.xmin * scale)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (9, "only 9 eigenvalues above the noise floor, and a fit needs 10"),
        (1, "only 1 eigenvalue above the noise floor, and a fit needs 10"),
        (0, "no eigenvalue above the noise floor, and a fit needs 10"),
    ],
)
def test_no_fit_has_its_reason(count, expected):
    found = power_law(np.arange(1.0, count + 1)[::-1])
    assert (found.alpha, found.alpha_reason) == (None, expected)
    assert found.alpha_p_reason == "no fit"


@pytest.mark.parametrize(("spread", "floor"), [(0.0, 0.0), (9e-6, 0.0), (1e-3, 2e-3)])
def test_no_fit_to_rounding_noise(spread, floor):
    values = 1 + spread * np.sort(np.random.default_rng(0).random(50))[::-1]
    found = power_law(values, floor)
    reason = "all singular values are equal up to rounding"
    assert (found.alpha, found.alpha_reason) == (None, reason)
    assert power_law(1 + 1e-2 * (values - 1) / (spread or 1) + np.geomspace(1, 0.1, 50)).alpha


@pytest.mark.parametrize("scale", [1e-300, 1e-170, 1e-160, 1e160, 1e300])
def test_squares_beyond_float64_leave_the_fit_and_not_its_start(scale):
    values = np.sqrt(np.sort(eigenvalues("spiked"))[::-1])
    own, scaled = power_law(values), power_law(values * scale)
    assert (scaled.alpha, scaled.alpha_ks) == pytest.approx((own.alpha, own.alpha_ks), rel=1e-9)
    assert scaled.alpha_points == own.alpha_points
    assert scaled.alpha_xmin is None


def test_no_bootstrap_no_p_value():
    found = power_law(np.sort(pareto(3, 50, 0))[::-1])
    assert (found.alpha_p_value, found.alpha_p_reason) == (None, "not asked for: bootstrap is 0")


@pytest.mark.parametrize("seed", range(3))
def test_the_p_value_tells_a_power_law_from_another_tail(seed):
    true = pareto(2.5, 300, seed)
    other = np.random.default_rng(seed).exponential(size=400) + 5
    assert p_value(true, fit(true), 50, seed) > 0.1
    whole = other[other > 5]
    assert p_value(whole, naive_fit_of_all(whole), 50, seed) < 0.1


def naive_fit_of_all(values):
    """A power law forced on all of the values: the null hypothesis that should be rejected."""
    logs = np.log(values / values.min())
    alpha = 1 + len(values) / logs.sum()
    x = np.sort(values)
    ks = np.abs(1 - (x / x[0]) ** (1 - alpha) - np.arange(len(x)) / len(x)).max()
    return fitting.Fit(float(alpha), float(x[0]), float(ks), len(x))


def test_the_p_value_is_seeded():
    values = np.sort(pareto(3, 60, 1))[::-1]
    first, again, other = (power_law(values, 0.0, 40, seed).alpha_p_value for seed in (1, 1, 2))
    assert first == again
    assert 0 <= other <= 1
