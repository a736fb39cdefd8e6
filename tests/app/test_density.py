import numpy as np
import pytest

from app.plots import density
from app.plots.density import Bulk, PowerLaw
from app.plots.figure import MOST_POINTS


def gaussian(rows=512, cols=256):
    """Return the singular values of noise with variance 1 / rows, so that s = 1."""
    matrix = np.random.default_rng(0).standard_normal((rows, cols)) / np.sqrt(rows)
    return np.linalg.svd(matrix, compute_uv=False)


def power_law_values(alpha=3.0, x_min=0.5, count=400):
    """Return singular values whose squares are exact quantiles of a power law."""
    beyond = (np.arange(count) + 0.5) / count
    return np.sqrt(x_min * beyond ** (-1 / (alpha - 1)))


def test_the_density_integrates_to_one():
    figure = density.eigenvalue_density(gaussian(), None, None, name="W")
    histogram = figure.series[0]
    assert (histogram.y * np.diff(histogram.x)).sum() == pytest.approx(1.0, rel=1e-9)


def test_the_tail_function_falls_from_one_to_one_over_n():
    values = gaussian()
    tail = density.tail_function(values, None, None, name="W").series[0]
    assert tail.x[0] == pytest.approx(values[0] ** 2)
    assert tail.y[0] == pytest.approx(1 / 256)
    assert tail.y[-1] == 1.0
    assert len(tail.x) <= MOST_POINTS


def test_the_fitted_law_lies_on_a_planted_one():
    law = PowerLaw(alpha=3.0, x_min=0.5, points=400)
    values = power_law_values()
    data, fit = density.tail_function(values, law, None, name="W").series
    expected = np.interp(np.log(data.x[5:-5]), np.log(fit.x), np.log(fit.y))
    assert np.log(data.y[5:-5]) == pytest.approx(expected, abs=0.12)
    _, density_fit = density.eigenvalue_density(values, law, None, name="W").series
    assert density_fit.y[0] == pytest.approx((law.alpha - 1) / law.x_min)


def test_marchenko_pasturs_density_integrates_to_one_and_ends_at_its_edge():
    bulk = Bulk(edge=(1 + np.sqrt(0.5)) ** 2, aspect=0.5)
    x, y = density.noise_density(bulk, least=1e-3)
    assert x[0] == pytest.approx((1 - np.sqrt(0.5)) ** 2)
    assert x[-1] == pytest.approx(bulk.edge)
    assert np.trapezoid(y, x) == pytest.approx(1.0, abs=2e-3)


def test_noise_follows_marchenko_pastur():
    bulk = Bulk(edge=(1 + np.sqrt(0.5)) ** 2, aspect=0.5)
    data, noise = density.tail_function(gaussian(), None, bulk, name="W").series
    at = np.array([0.3, 0.8, 1.5, 2.4])
    found = np.interp(at, data.x[::-1], data.y[::-1])
    assert found == pytest.approx(np.interp(at, noise.x, noise.y), abs=0.03)


@pytest.mark.parametrize("values", [[2.0], [2.0, 2.0, 2.0], [3.0, 0.0]])
def test_a_degenerate_spectrum_is_still_drawn(values):
    for plot in (density.eigenvalue_density, density.tail_function):
        figure = plot(np.array(values), None, None, name="W")
        assert np.isfinite(figure.series[0].y).all()
