"""The controls of a matrix' cuts: what bands they make, and how many of them are drawn."""

import numpy as np
import pytest

from analysis.entanglement import Params, _affordable
from analysis.numerics.entanglement.cuts import prime_factors
from tests.analysis.test_entanglement import matrix, measured, naive
from tests.matrices import gauss, planted


def test_bands_hold_noise_and_not_a_matrix_with_structure():
    noise = measured(matrix(gauss(0, 48, 64)), draws=30)
    assert noise.draws == 30
    assert abs(noise.beyond_spectrum_deviations) < 4
    assert abs(noise.beyond_order_deviations) < 4
    # Blocks of equal rows: the first digits of the row index say all there is.
    blocks = np.repeat(gauss(1, 8, 64), 8, axis=0) + 0.01 * gauss(2, 64, 64)
    row = measured(matrix(blocks), draws=30)
    assert row.beyond_spectrum_deviations > 10
    assert row.beyond_spectrum_signed < 0
    assert row.beyond_order_deviations > 10
    outside = [
        not low <= s <= high
        for s, low, high in zip(row.entropy, row.isospectral_low, row.isospectral_high, strict=True)
    ]
    assert sum(outside) >= 4


def test_the_controls_by_their_definition():
    W = planted(np.geomspace(1, 0.02, 12), 12, 30, seed=5).numpy()
    row = measured(matrix(W), draws=4, seed=7)
    left, right = np.random.default_rng([7, 0]), np.random.default_rng([7, 1])
    swap = np.arange(30).reshape(2, 3, 5).transpose(2, 1, 0).ravel()
    shuffled, drawn = [], []
    for _ in range(4):
        by_rows = naive(W[left.permutation(12)])
        columns = W[:, swap][:, right.permutation(30)]
        by_columns = naive(columns[:, np.argsort(swap)])
        shuffled.append(by_rows[:3] + by_columns[3:])
    assert row.permuted_mean == pytest.approx(np.mean(shuffled, axis=0), abs=1e-9)
    assert row.permuted_low == pytest.approx(np.min(shuffled, axis=0), abs=1e-9)
    generator = np.random.default_rng(1)
    for _ in range(200):
        U = np.linalg.qr(generator.standard_normal((12, 12)))[0]
        V = np.linalg.qr(generator.standard_normal((30, 12)))[0]
        drawn.append(naive((U * np.geomspace(1, 0.02, 12)) @ V.T))
    spread = np.std(drawn, axis=0)
    off = np.abs(np.array(row.isospectral_mean) - np.mean(drawn, axis=0))
    # A mean of 4 draws against one of 200: 5 standard errors.
    assert (off <= 5 * spread * np.sqrt(1 / 4 + 1 / 200) + 1e-9).all()
    own = np.delete(np.array(row.entropy), 2)
    iso = np.delete(np.array(row.isospectral_mean), 2)
    assert row.beyond_spectrum == pytest.approx(np.abs(own - iso).mean())
    assert row.beyond_spectrum_signed == pytest.approx((own - iso).mean())


def test_row_column_is_the_same_in_every_control():
    row = measured(matrix(gauss(0, 12, 20)), draws=3)
    at = row.row_column - 1
    for name in ("isospectral", "permuted"):
        for word in ("mean", "low", "high"):
            assert getattr(row, f"{name}_{word}")[at] == pytest.approx(row.entropy_row_column)


def test_a_seed_repeats_the_draws_and_another_one_does_not():
    W = gauss(0, 24, 32)
    first, again, other = (measured(matrix(W), draws=3, seed=s) for s in (1, 1, 2))
    assert first == again
    assert first.isospectral_mean != other.isospectral_mean
    assert first.entropy == other.entropy


def test_fewer_draws_of_a_large_matrix_and_why():
    subject = matrix(gauss(0, 64, 64))
    row = measured(subject, draws=30, most_work=0.03)
    assert 3 <= row.draws < 30
    assert row.remark.startswith(f"{row.draws} of 30 draws of each control: more would take over")
    none = measured(subject, draws=30, most_work=1e-5)
    assert (none.draws, none.isospectral_mean, none.beyond_spectrum) == (0, None, None)
    assert measured(subject, draws=3).remark is None


def test_the_layers_of_a_7b_model_have_draws_by_default():
    for shape in ((4096, 4096), (11008, 4096)):
        sites = prime_factors(shape[0]), prime_factors(shape[1])
        assert _affordable(*sites, 4096, Params()) >= 3
