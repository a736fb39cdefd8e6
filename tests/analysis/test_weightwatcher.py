"""WeightWatcher's columns, with the defects of the tool mended: each one is a test."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.special import rel_entr

from analysis.numerics.weightwatcher import detx_number, log10_power_sum
from analysis.spectrum import Params, Row, spectrum
from analysis.weights.matrix import Matrix
from tests.matrices import planted, reference


def measured(matrix, **params):
    [row] = spectrum(Matrix.of(matrix), Params(**params))
    return row


@pytest.fixture(scope="module", params=["gauss", "alpha3", "spiked", "rank16"])
def pair(request):
    matrix = reference(request.param)
    return np.linalg.svd(matrix.double().numpy(), compute_uv=False), measured(matrix)


def test_the_norms_are_of_eigenvalues(pair):
    values, row = pair
    assert row.norm == pytest.approx((values**2).sum())
    assert row.log_norm == pytest.approx(np.log10((values**2).sum()))
    assert row.spectral_norm == pytest.approx(values[0] ** 2)
    assert row.log_spectral_norm == pytest.approx(2 * np.log10(values[0]))
    assert (row.N, row.M, row.Q) == (512, 256, 2.0)


def test_the_columns_of_the_fit_repeat_it(pair):
    values, row = pair
    assert (row.xmin, row.D, row.num_pl_spikes) == (row.alpha_xmin, row.alpha_ks, row.alpha_points)
    assert row.sigma == pytest.approx((row.alpha - 1) / np.sqrt(row.alpha_points))
    assert row.alpha_weighted == pytest.approx(row.alpha * np.log10(values[0] ** 2))
    assert row.log_alpha_norm == pytest.approx(np.log10(((values**2) ** row.alpha).sum()))


def test_the_shuffled_columns_are_their_definitions(pair):
    values, row = pair
    own = values**2
    assert row.ww_softrank == pytest.approx(1 - row.ww_maxdist / own[0])
    # Jensen-Shannon distance of the two sorted vectors, as the formula reads.
    matrix = Matrix.of(torch.diag(torch.tensor([3.0, 2.0, 1.0])))
    [small] = spectrum(matrix, Params(seed=4))
    p, q = matrix.spectrum().values ** 2, matrix.shuffled(4).values ** 2
    p, q = p / p.sum(), q / q.sum()
    half = (p + q) / 2
    expected = np.sqrt((rel_entr(p, half).sum() + rel_entr(q, half).sum()) / 2)
    assert small.rand_distance == pytest.approx(expected)


def test_a_rank_sixteen_matrix_in_float32_has_rank_sixteen():
    row = measured(reference("rank16"))
    assert (row.matrix_rank, row.rank_loss, row.weak_rank_loss) == (16, 240, 240)
    assert row.entropy == pytest.approx(0.982, abs=5e-4)


def test_the_fit_and_the_weak_rank_know_no_scale():
    for scale in (1, 2e-3, 1e-3):
        row = measured(reference("alpha3", torch.float64) * scale)
        assert (round(row.alpha, 6), row.num_pl_spikes) == (3.006638, 256)
        assert row.weak_rank_loss == 0


def test_noise_has_a_soft_rank_of_at_most_one():
    for seed in range(5):
        noise = np.random.default_rng(seed).standard_normal((512, 256))
        row = measured(torch.from_numpy(noise))
        assert 0.95 < row.mp_softrank <= 1
        assert row.sigma_mp == pytest.approx(1, abs=0.02)


def test_the_bulk_in_eigenvalues():
    row = measured(reference("spiked"))
    assert row.bulk_max == pytest.approx(row.mp_edge**2)
    assert row.mp_softrank == pytest.approx(row.bulk_max / row.spectral_norm)
    assert row.bulk_min < row.sigma_min**2
    assert row.num_spikes == row.tw_spikes == 3


def test_a_large_entry_is_a_correlation_trap_and_a_large_direction_is_none():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(300, 200, generator=generator) / 300**0.5
    entry, direction = noise.clone(), noise + 5 * planted([1], 300, 200, 1, torch.float32)
    entry[3, 4] = 8.0
    assert measured(entry).rand_num_spikes == 1
    assert measured(direction).rand_num_spikes == 0


def test_the_shuffle_is_seeded():
    matrix = reference("spiked")
    first, again, other = (measured(matrix, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.rand_distance != other.rand_distance


@pytest.mark.parametrize("seed", range(5))
def test_detx_is_the_first_product_below_one(seed):
    values = np.sort(np.random.default_rng(seed).exponential(size=60))[::-1]
    scaled = values / values.mean()
    assert detx_number(values) == next(k for k in range(1, 61) if np.prod(scaled[:k]) < 1)
    assert detx_number(values * 1e-9) == detx_number(values)


@pytest.mark.parametrize(
    ("name", "expected"), [("gauss", 209), ("alpha3", 181), ("spiked", 171), ("rank16", 15)]
)
def test_detx_of_the_reference_matrices(name, expected):
    row = measured(reference(name))
    assert row.detX_num == expected
    assert row.ERG_gap == expected - row.alpha_points


def test_detx_of_equal_or_no_eigenvalues_is_none():
    assert detx_number(np.ones(5)) == 0
    assert detx_number(np.array([])) == 0


def orthogonal(shape, dtype):
    made = torch.empty(shape)
    torch.nn.init.orthogonal_(made, generator=torch.Generator().manual_seed(0))
    return made.to(dtype)


def partial_isometry(rank):
    Q = torch.linalg.qr(torch.randn(256, 256, generator=torch.Generator().manual_seed(0))).Q
    return Q[:, :rank] @ Q[:rank]


@pytest.mark.parametrize(
    "matrix",
    [
        torch.eye(40),
        partial_isometry(20),
        partial_isometry(256),
        *(
            orthogonal(shape, dtype)
            for shape in [(256, 256), (300, 60)]
            for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16)
        ),
    ],
    ids=lambda m: f"{m.dtype}-{tuple(m.shape)}",
)
def test_a_flat_spectrum_has_no_tail(matrix):
    row = measured(matrix)
    assert row.alpha is row.warning is row.num_pl_spikes is row.detX_num is row.ERG_gap is None
    assert row.alpha_reason == "all singular values are equal up to rounding"
    assert row.entropy == pytest.approx(1)


@pytest.mark.parametrize("matrix", [torch.ones(30, 20), torch.ones(30, 1), torch.ones(1, 30)])
def test_one_direction_has_no_entropy_and_no_tail(matrix):
    row = measured(matrix)
    assert (row.matrix_rank, row.entropy, row.detX_num) == (1, None, None)
    assert row.alpha_reason.startswith("only 1 eigenvalue above")


def test_the_distance_to_shuffled_is_at_most_the_root_of_ln_two():
    spike = torch.zeros(60, 40)
    spike[:30, :20] = 1
    assert measured(spike).rand_distance < np.sqrt(np.log(2))
    assert "√(ln 2) = 0.83" in help_of("rand_distance")


def help_of(column):
    return {f.name: f.metadata["help"] for f in dataclasses.fields(Row)}[column]


@pytest.mark.parametrize("column", ["tw_edge", "tw_spikes", "num_spikes", "rand_num_spikes"])
def test_the_false_positives_of_the_edge_are_in_its_help(column):
    assert "10 %" in help_of(column)
    assert "15 %" in help_of(column)


def test_the_alpha_norm_of_a_steep_tail_does_not_overflow():
    assert log10_power_sum(np.array([1e10, 1.0]), 400.0) == pytest.approx(4000)


@pytest.mark.parametrize(("alpha", "warning"), [(1.5, "over-trained"), (3, None), (8, "under")])
def test_warnings(alpha, warning):
    # Quantiles of p(λ) ∝ λ^-alpha, as the reference matrix has them for 3.
    eigenvalues = np.sort((1 - (np.arange(200) + 0.5) / 200) ** (-1 / (alpha - 1)))[::-1]
    row = measured(planted(np.sqrt(eigenvalues), 300, 200))
    assert row.alpha == pytest.approx(alpha, rel=0.05)
    assert (row.warning or "").startswith(warning or "")
    assert (row.warning is None) == (warning is None)
