"""What pure noise looks like: Marchenko-Pastur, Tracy-Widom and Gavish-Donoho."""

import numpy as np
import pytest

from analysis.numerics import gavish_donoho, marchenko_pastur, tracy_widom
from analysis.numerics.bulk import bulk
from tests.matrices import gauss, reference

MEDIANS = {0.25: 0.91600, 0.5: 0.83047, 0.75: 0.74295, 1.0: 0.65278}
OMEGAS = {0.25: 1.8369, 0.5: 2.1712, 0.75: 2.5014, 1.0: 2.8584}


def largest_of_noise(count: int):
    """Largest λ of 512 x 256 noise of variance 1/512, `count` draws of one generator."""
    generator = np.random.default_rng(7)
    for _ in range(count):
        draw = generator.standard_normal((512, 256)) / np.sqrt(512)
        yield np.linalg.eigvalsh(draw.T @ draw)[-1]


def test_false_positives_of_both_edges():
    draws = np.array(list(largest_of_noise(200)))
    bare = marchenko_pastur.edges(0.5)[1]
    assert np.mean(draws > bare) == pytest.approx(0.19, abs=0.005)
    assert np.mean(draws > tracy_widom.edge(512, 256)) == pytest.approx(0.06, abs=0.005)
    assert tracy_widom.edge(256, 512) == tracy_widom.edge(512, 256)


@pytest.mark.parametrize(("beta", "expected"), MEDIANS.items())
def test_median_of_the_law(beta, expected):
    assert marchenko_pastur.median(beta) == pytest.approx(expected, abs=5e-6)


@pytest.mark.parametrize("beta", [0.01, 0.1, *MEDIANS])
def test_half_of_the_density_is_below_its_median(beta):
    low, high = marchenko_pastur.edges(beta)
    # The substitution x = low + t² tames the density's singularity at 0 for beta = 1.
    t = np.linspace(0, np.sqrt(high - low), 400_001)
    x = low + t * t
    mass = marchenko_pastur.density(x, beta) * 2 * t
    cumulative = np.concatenate([[0], np.cumsum((mass[1:] + mass[:-1]) / 2 * np.diff(t))])
    assert cumulative[-1] == pytest.approx(1, abs=1e-4)
    assert np.interp(marchenko_pastur.median(beta), x, cumulative) == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize("beta", [0.0, -1.0, 1.01])
def test_an_aspect_ratio_outside_its_range_is_refused(beta):
    with pytest.raises(ValueError, match="aspect ratio in"):
        marchenko_pastur.edges(beta)


@pytest.mark.parametrize("shape", [(600, 150), (400, 400), (150, 600)])
@pytest.mark.parametrize("sigma", [0.01, 3.0])
def test_the_bulk_is_found_from_the_median(shape, sigma):
    draw = sigma * np.random.default_rng(0).standard_normal(shape) / np.sqrt(max(shape))
    values = np.linalg.svd(draw, compute_uv=False)
    found = bulk(values, shape, min(shape))
    assert found.mp_sigma == pytest.approx(sigma, rel=0.02)
    assert found.mp_edge == pytest.approx(values[0], rel=0.03)
    assert found.tw_edge > found.mp_edge


@pytest.mark.parametrize(("beta", "expected"), OMEGAS.items())
def test_gavish_donoho_coefficient(beta, expected):
    omega = gavish_donoho.coefficient(beta) / np.sqrt(marchenko_pastur.median(beta))
    assert omega == pytest.approx(expected, abs=5e-5)
    cubic = 0.56 * beta**3 - 0.95 * beta**2 + 1.82 * beta + 1.43
    assert omega == pytest.approx(cubic, abs=0.005)


def test_gavish_donoho_coefficient_of_a_square_matrix():
    assert gavish_donoho.coefficient(1.0) == pytest.approx(4 / np.sqrt(3))


@pytest.mark.parametrize(("name", "rank"), [("gauss", 0), ("spiked", 3)])
def test_gavish_donoho_rank_with_and_without_known_noise(name, rank):
    values = np.linalg.svd(reference(name).double().numpy(), compute_uv=False)
    found = bulk(values, (512, 256), 256, noise=1 / np.sqrt(512))
    assert (found.gavish_donoho_rank, found.gavish_donoho_known_rank) == (rank, rank)


@pytest.mark.parametrize("rank", [1, 3, 10])
def test_planted_spikes_are_counted(rank):
    generator = np.random.default_rng(rank)
    U = np.linalg.qr(generator.standard_normal((400, rank)))[0]
    V = np.linalg.qr(generator.standard_normal((200, rank)))[0]
    values = np.linalg.svd(gauss(rank, 400, 200) + 5 * U @ V.T, compute_uv=False)
    found = bulk(values, (400, 200), 200)
    assert (found.tw_spikes, found.gavish_donoho_rank) == (rank, rank)


def test_no_median_where_most_of_the_values_are_rounding():
    values = np.concatenate([np.ones(99), np.full(101, 1e-9)])
    found = bulk(values, (200, 200), 99, noise=0.01)
    assert found.median_reason == "only 99 of 200 singular values are above the noise floor"
    assert found.mp_sigma is found.mp_edge is found.tw_spikes is found.gavish_donoho_rank is None
    assert found.gavish_donoho_known_rank == 99
    assert bulk(values, (200, 200), 100).median_reason is None
    one = bulk(values, (200, 200), 1).median_reason
    assert one == "only 1 of 200 singular values is above the noise floor"


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, "only 1 singular value, and an estimate from the median needs 10"),
        (9, "only 9 singular values, and an estimate from the median needs 10"),
        (10, None),
    ],
)
def test_the_median_of_a_few_values_says_nothing(count, expected):
    found = bulk(np.geomspace(2, 1, count), (40, count), count, noise=0.01)
    assert found.median_reason == expected
    assert (found.tw_edge is None) == (found.mp_sigma is None) == (expected is not None)
    assert (found.gavish_donoho_cut is None) == (expected is not None)
    assert found.gavish_donoho_known_rank == count


@pytest.mark.parametrize(
    ("shape", "at_least", "at_most"), [((16, 16), 0.10, 0.20), ((64, 64), 0.06, 0.16)]
)
def test_a_level_from_the_median_doubles_the_false_positives_of_the_edge(shape, at_least, at_most):
    generator = np.random.default_rng(0)
    draws = generator.standard_normal((400, *shape))
    values = np.linalg.svd(draws, compute_uv=False)
    share = np.mean([bool(bulk(s, shape, min(shape)).tw_spikes) for s in values])
    assert at_least < share < at_most


@pytest.mark.parametrize("scale", [1e-300, 1e-170, 1e160, 1e300])
def test_edges_and_counts_know_no_scale(scale):
    values = np.linalg.svd(reference("spiked").double().numpy(), compute_uv=False)
    own, scaled = bulk(values, (512, 256), 256), bulk(values * scale, (512, 256), 256)
    assert (scaled.tw_spikes, scaled.mp_spikes) == (own.tw_spikes, own.mp_spikes)
    for name in ("mp_sigma", "mp_edge", "tw_edge", "gavish_donoho_cut"):
        assert getattr(scaled, name) / scale == pytest.approx(getattr(own, name), rel=1e-9)
