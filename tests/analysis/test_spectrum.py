"""The whole analysis: the reference table, what must not change a number, and what has none."""

import dataclasses
import typing

import numpy as np
import pytest
import torch

from analysis.catalogue import describe
from analysis.numerics.measures import Options, measures
from analysis.spectrum import Params, Row, spectrum
from analysis.weights.matrix import Label, Matrix, NonFinite, ZeroMatrix
from tests.matrices import gauss, planted, reference

TABLE = {
    "norm": "256.6645 502.3217 328.8800 4102.0981",
    "sigma_max": "1.708959 4.756828 5.707885 19.835563",
    "stable_rank": "87.8826 22.1997 10.0946 10.4260",
    "effective_rank_sigma": "236.842 245.313 226.112 15.793",
    "effective_rank_energy": "198.899 200.752 126.142 15.215",
    "participation_ratio": "170.168 131.268 43.643 14.537",
    "k90": "170 209 158 14",
    "k99": "238 252 234 16",
    "numerical_rank": "256 256 256 16",
    "alpha": "9.938807 3.006638 2.973212 3.224310",
    "alpha_points": "22 256 102 15",
    "detX_num": "209 181 171 15",
    "tw_spikes": "0 10 3 null",
}
NAMES = ("gauss", "alpha3", "spiked", "rank16")
COLUMNS = {column.name: column.metadata for column in dataclasses.fields(Row)}
RANKS = [name for name, metadata in COLUMNS.items() if metadata["kind"] == "rank"]
COUNTS = [
    "tw_spikes",
    "mp_spikes",
    "gavish_donoho_rank",
    "matrix_rank",
    "weak_rank_loss",
    "detX_num",
    "alpha_points",
    "rand_num_spikes",
    "shuffled_spikes",
]
SHAPES_OF_NUMBERS = ["alpha", "alpha_ks", "entropy", "mp_softrank", "rand_distance", "ww_softrank"]


def measured(matrix, view="whole", **params):
    [row] = spectrum(Matrix.of(matrix, Label("w", "w", "w", None, view)), Params(**params))
    return row


@pytest.fixture(scope="module")
def table():
    return {name: measured(reference(name)) for name in NAMES}


@pytest.mark.parametrize("quantity", TABLE)
def test_the_reference_table_to_half_a_unit_of_its_last_digit(table, quantity):
    for name, expected in zip(NAMES, TABLE[quantity].split(), strict=True):
        found = getattr(table[name], quantity)
        if expected == "null":
            assert found is None
        else:
            digits = len(expected.partition(".")[2])
            assert (
                abs(found - float(expected)) <= 0.5 * 10**-digits
                if digits
                else found == int(expected)
            )


def test_the_reason_for_no_estimate_from_the_median(table):
    assert "only 16 of 256" in table["rank16"].median_reason
    assert table["rank16"].mp_edge is table["rank16"].num_spikes is None
    assert table["gauss"].median_reason is None


@pytest.mark.parametrize("scale", [1e-4, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NAMES)
def test_no_rank_and_no_fit_knows_the_scale(name, dtype, scale):
    own = measured(reference(name, dtype))
    scaled = measured(reference(name, dtype) * scale)
    for quantity in (*RANKS, *COUNTS):
        expected = getattr(own, quantity)
        found = getattr(scaled, quantity)
        assert (found is None and expected is None) or found == pytest.approx(expected, rel=1e-6)
        ratio = f"{quantity}_vs_noise"
        if quantity in RANKS:
            assert getattr(scaled, ratio) == pytest.approx(getattr(own, ratio), rel=1e-6)
    for quantity in SHAPES_OF_NUMBERS:
        expected = getattr(own, quantity)
        if expected is not None:
            assert getattr(scaled, quantity) == pytest.approx(expected, rel=2e-6), quantity
    assert scaled.sigma_max == pytest.approx(scale * own.sigma_max, rel=1e-6)


# Columns in units of λ = σ²: null where float64 cannot hold them.
SQUARES = ("norm", "spectral_norm", "xmin", "alpha_xmin", "bulk_max", "bulk_min", "ww_maxdist")


@pytest.mark.parametrize("scale", [1e-300, 1e-170, 1e-160, 1e160, 1e170, 1e300])
@pytest.mark.parametrize("name", NAMES)
def test_entries_whose_squares_leave_float64(name, scale):
    matrix = reference(name, torch.float64)
    own, scaled = measured(matrix, vectors=True), measured(matrix * scale, vectors=True)
    for quantity in (*RANKS, *COUNTS, *SHAPES_OF_NUMBERS):
        expected, found = getattr(own, quantity), getattr(scaled, quantity)
        assert (found is None and expected is None) or found == pytest.approx(expected, rel=1e-6)
    for quantity in ("sigma_max", "noise_floor", "frobenius_norm", "nuclear_norm", "tw_edge"):
        expected, found = getattr(own, quantity), getattr(scaled, quantity)
        assert expected is None or found / scale == pytest.approx(expected, rel=1e-6), quantity
    assert scaled.log_norm == pytest.approx(own.log_norm + 2 * np.log10(scale))
    assert scaled.log_spectral_norm == pytest.approx(own.log_spectral_norm + 2 * np.log10(scale))
    assert [getattr(scaled, quantity) for quantity in SQUARES] == [None] * len(SQUARES)
    assert "float64" in scaled.lambda_reason
    assert own.lambda_reason is None
    for quantity in ("left_vectors", "right_vectors"):
        assert np.abs(getattr(scaled, quantity)) == pytest.approx(
            np.abs(getattr(own, quantity)), abs=2e-3
        )
    assert all(np.isfinite(v) for v in dataclasses.astuple(scaled) if isinstance(v, float))


def test_a_column_that_fits_is_kept_beside_one_that_does_not():
    row = measured(torch.diag(torch.tensor([1e154, *[9e153] * 29], dtype=torch.float64)))
    assert row.spectral_norm == pytest.approx(1e308)
    assert row.norm is None
    assert "float64" in row.lambda_reason


@pytest.mark.parametrize("value", [1.7e308, 5e-324])
def test_the_ends_of_float64_are_a_row_or_a_reason(value):
    matrix = torch.full((20, 12), value, dtype=torch.float64)
    try:
        row = measured(matrix, vectors=True)
    except NonFinite as reason:
        assert "beyond float64" in str(reason)  # noqa: PT017  one of the two must hold
    else:
        assert all(np.isfinite(v) for v in dataclasses.astuple(row) if isinstance(v, float))
        assert np.isfinite(row.left_vectors).all()


def test_one_entry_outside_a_format_makes_the_whole_matrix_the_wider_one():
    matrix = reference("rank16", torch.bfloat16).float()
    assert (measured(matrix).effective_dtype, measured(matrix).numerical_rank) == ("bfloat16", 16)
    matrix[3, 4] *= 1 + 1e-5
    assert (measured(matrix).effective_dtype, measured(matrix).numerical_rank) == ("float32", 256)
    for column in ("effective_dtype", "numerical_rank"):
        assert "one entry" in COLUMNS[column]["help"].lower()


@pytest.mark.parametrize("name", NAMES)
def test_the_transpose_has_the_same_ranks(name):
    own, turned = measured(reference(name)), measured(reference(name).T)
    assert (turned.rows, turned.cols) == (own.cols, own.rows)
    for quantity in RANKS:
        assert getattr(turned, quantity) == pytest.approx(getattr(own, quantity), rel=1e-9)
        ratio = f"{quantity}_vs_noise"
        assert getattr(turned, ratio) == pytest.approx(getattr(own, ratio), rel=1e-9)


@pytest.mark.parametrize("shape", [(90, 60), (60, 90), (60, 60)])
@pytest.mark.parametrize("seed", range(3))
def test_a_planted_spectrum_is_measured_to_one_in_a_million(shape, seed):
    values = np.sort(np.random.default_rng(seed).uniform(0.01, 5, 60))[::-1]
    row = measured(planted(values, *shape, seed))
    energy = values**2
    p, q = values / values.sum(), energy / energy.sum()
    expected = {
        "effective_rank_sigma": np.exp(-(p * np.log(p)).sum()),
        "effective_rank_energy": np.exp(-(q * np.log(q)).sum()),
        "stable_rank": energy.sum() / energy[0],
        "participation_ratio": energy.sum() ** 2 / (energy**2).sum(),
        "nuclear_rank": values.sum() / values[0],
        "k90": int((np.cumsum(q) < 0.90).sum()) + 1,
        "k95": int((np.cumsum(q) < 0.95).sum()) + 1,
        "k99": int((np.cumsum(q) < 0.99).sum()) + 1,
        "numerical_rank": 60,
        "sigma_max": values[0],
        "sigma_min": values[-1],
        "frobenius_norm": np.sqrt(energy.sum()),
        "nuclear_norm": values.sum(),
    }
    for quantity, value in expected.items():
        assert getattr(row, quantity) == pytest.approx(value, rel=1e-6), quantity


@pytest.mark.parametrize(
    ("shape", "effective", "energy", "stable"),
    [((384, 384), 0.80, 0.61, 0.26), ((1536, 384), 0.97, 0.86, 0.45)],
)
def test_noise_is_one_whatever_its_share_of_full_rank(shape, effective, energy, stable):
    row = measured(torch.from_numpy(gauss(5, *shape)))
    shares = (row.effective_rank_sigma / 384, row.k95 / 384, row.stable_rank / 384)
    # The largest singular value of one draw moves the stable rank by a few per cent.
    assert shares == pytest.approx((effective, energy, stable), abs=0.015)
    for quantity in RANKS:
        # Three standard deviations of the ratio of two draws' Tracy-Widom variables.
        assert getattr(row, f"{quantity}_vs_noise") == pytest.approx(1, abs=0.065), quantity
    assert row.sigma_max_vs_noise == pytest.approx(1, abs=0.033)


def test_a_spike_stands_out_of_the_shuffled_matrix(table):
    assert table["spiked"].shuffled_spikes == 3
    values = np.linalg.svd(reference("spiked").double().numpy(), compute_uv=False)
    share = (values[:3] ** 2).sum() / (values**2).sum()
    assert table["spiked"].shuffled_overlap == pytest.approx(share)
    assert table["spiked"].shuffled_stable_rank > 80


def test_a_difference_is_measured_above_its_floor_only():
    values = np.geomspace(2, 1, 8)
    matrix = planted(values, 100, 50, dtype=torch.bfloat16)  # rank 8, and a full tail of rounding
    whole, delta = measured(matrix), measured(matrix, view="delta")
    assert (whole.basis, delta.basis) == ("all σ", "σ above the noise floor")
    assert delta.numerical_rank == whole.numerical_rank == 8
    p = values / values.sum()
    expected = np.exp(-(p * np.log(p)).sum())
    assert delta.effective_rank_sigma == pytest.approx(expected, rel=1e-4)
    assert whole.effective_rank_sigma != pytest.approx(expected, rel=1e-2)
    assert delta.sigma_min == 0


def test_a_difference_below_its_floor_says_so():
    signs = torch.randn(20, 10, generator=torch.Generator().manual_seed(0)).sign()
    matrix = (signs * 6e-8).half()  # one step of float16's smallest subnormals
    label = Label("w", "w", "w", None, "delta")
    with pytest.raises(
        ZeroMatrix, match=r"w: its largest singular value, .* below the noise floor"
    ):
        list(spectrum(Matrix.of(matrix, label), Params()))
    assert measured(matrix).numerical_rank == 0  # as a matrix of its own it has a row


def test_known_noise_gives_the_other_threshold():
    assert measured(reference("spiked"), noise_sigma=512**-0.5).gavish_donoho_known_rank == 3
    assert measured(reference("spiked")).gavish_donoho_known_rank is None


def test_a_bootstrap_gives_a_seeded_p_value():
    first, again = (measured(reference("alpha3"), bootstrap=20) for _ in range(2))
    assert first.alpha_p_value == again.alpha_p_value > 0.1
    assert first.alpha_p_reason is None


def test_leading_vectors_on_request():
    values = np.geomspace(9, 1, 70)
    matrix = planted(values, 90, 120)
    row = measured(matrix, vectors=True)
    assert row.left_vectors.shape == (90, 64)
    assert row.right_vectors.shape == (120, 64)
    assert row.left_vectors.dtype == np.float16
    product = row.left_vectors.astype(float).T @ matrix.numpy() @ row.right_vectors.astype(float)
    assert product == pytest.approx(np.diag(values[:64]), abs=0.02)
    assert measured(matrix).left_vectors is None


def test_no_vector_of_rounding_is_kept():
    assert measured(reference("rank16"), vectors=True).right_vectors.shape == (256, 16)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_an_entry_that_is_no_number_is_named(bad, dtype):
    matrix = torch.ones(8, 3, dtype=dtype)
    matrix[5, 1] = bad
    subject = Matrix.of(matrix, Label("blocks.0.q", "model.q.weight", "q", 0))
    for ask in (subject.spectrum, lambda: subject.shuffled(0)):
        with pytest.raises(NonFinite, match=r"blocks\.0\.q \(model\.q\.weight\) holds NaN or inf"):
            ask()


def test_an_all_zero_matrix_has_zero_values_and_no_row():
    subject = Matrix.of(torch.zeros(6, 4))
    assert subject.spectrum().values.tolist() == [0, 0, 0, 0]
    with pytest.raises(ZeroMatrix, match="every entry is zero"):
        list(spectrum(subject, Params()))


@pytest.mark.parametrize("shape", [(2, 2), (3, 2), (1, 5), (5, 1), (40, 2)])
def test_the_smallest_matrices_have_a_row(shape):
    row = measured(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    assert row.numerical_rank == min(shape)
    assert "a fit needs 10" in row.alpha_reason


@pytest.mark.parametrize("matrix", [torch.eye(20), torch.ones(30, 20), torch.eye(20)[:, :12]])
def test_degenerate_spectra_have_a_row(matrix):
    row = measured(matrix)
    assert row.numerical_rank == torch.linalg.matrix_rank(matrix).item()
    assert row.alpha is None
    assert all(np.isfinite(v) for v in dataclasses.astuple(row) if isinstance(v, float))


def test_measures_are_a_pure_function_of_spectra():
    subject = Matrix.of(reference("spiked"))
    own, shuffled, noise = subject.spectrum(), subject.shuffled(0), subject.noise(0)
    before = own.values.copy()
    found = measures(
        own.values,
        subject.shape,
        own.noise_floor,
        shuffled=shuffled.values,
        noise=noise.values,
        options=Options(),
    )
    row = dataclasses.asdict(measured(reference("spiked")))
    assert {name: row[name] for name in found} == found
    assert (own.values == before).all()


def test_every_column_says_what_it_is():
    kinds = {"rank", "norm", "exponent", "count", "ratio", "note"}
    for name, metadata in COLUMNS.items():
        assert metadata["title"], name
        assert metadata["help"], name
        assert metadata["kind"] in kinds, name
        if metadata["kind"] == "rank":
            assert f"{name}_vs_noise" in COLUMNS
    folded = [name.lower() for name in COLUMNS]
    assert len(set(folded)) == len(folded)  # SQL knows no case


def test_the_catalogue_has_every_column_and_parameter():
    declared = describe()["analyses"]["spectrum"]
    assert [column["name"] for column in declared["columns"]] == list(COLUMNS)
    assert {p["name"] for p in declared["params"]} == set(typing.get_type_hints(Params))
    assert [p["name"] for p in declared["params"] if p.get("selects")] == ["heads", "slices"]
