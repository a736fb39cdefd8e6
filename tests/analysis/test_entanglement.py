import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import sample, weights
from analysis.entanglement import Params, entanglement, work
from analysis.numerics.entanglement.entropy import page_value
from analysis.numerics.low_rank import LowRank
from analysis.numerics.row_blocks import InMemory
from analysis.registry import AnalysisError
from analysis.weights.matrix import Label, Matrix, NonFinite, ZeroMatrix
from analysis.weights.updates import VIEW as DELTA
from tests.matrices import gauss, planted

BITS = math.log(2)


def matrix(W, view="whole"):
    W = torch.as_tensor(W)
    return Matrix.of(W, Label("w", "w", "w", None, view))


def adapter(B, A):
    factors = (InMemory(torch.as_tensor(factor)) for factor in (B, A))
    return Matrix(LowRank(*factors), Label("w", "w", "w", None, DELTA), "key")


def measured(subject, **params):
    [row] = entanglement(subject, Params(**({"draws": 0} | params)))
    return row


def primes(n):
    found = [p for p in range(2, n + 1) if n % p == 0 and all(p % d for d in range(2, p))]
    return sorted(p for p in found for e in range(1, 40) if n % p**e == 0)


def naive(W):
    """Every cut by an SVD of the reshaped matrix."""
    W, (m, n) = np.asarray(W, float), W.shape
    found, left = [], 1
    for site in (primes(m) + primes(n))[:-1]:
        left *= site
        s = np.linalg.svd(W.reshape(left, -1), compute_uv=False)
        p = s[s > 0] ** 2 / (s**2).sum()
        found.append(float(-(p * np.log(p)).sum()))
    return found


def random_factors(size, rank, seed):
    generator = np.random.default_rng(seed)
    return generator.standard_normal((size, rank)), generator.standard_normal((rank, size))


def test_the_identity_of_64_in_bits():
    row = measured(matrix(np.eye(64)))
    bits = [s / BITS for s in row.entropy]
    assert bits == pytest.approx([1, 2, 3, 4, 5, 6, 5, 4, 3, 2, 1], abs=1e-9)
    assert row.row_column == 6
    assert row.site_dims == "2·2·2·2·2·2 | 2·2·2·2·2·2"
    assert (row.log_base, row.site_order[:9]) == ("e", "ascending")
    assert row.maximum == pytest.approx([s * BITS for s in bits], abs=1e-9)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_matrix_of_rank_one_has_no_entropy_at_row_column(seed):
    B, A = random_factors(64, 1, seed)
    assert abs(measured(matrix(B @ A)).entropy_row_column) < 1e-12
    assert abs(measured(adapter(B, A)).entropy_row_column) < 1e-12


def test_gaussian_noise_is_at_pages_value_at_every_cut():
    rows = [measured(matrix(gauss(seed, 64, 64))) for seed in range(40)]
    mean = np.mean([row.entropy for row in rows], axis=0)
    assert mean == pytest.approx(rows[0].page, abs=0.01)
    # Real Gaussians: their own means, a little below Page's complex ones. Spread of a mean of 40
    # is below 0.001 at every cut; the numbers were given to 1e-4.
    expected = [0.6926, 1.3840, 2.0705, 2.7395, 3.3378, 3.6561]
    assert mean[:6] == pytest.approx(expected, abs=2e-3)
    assert abs(np.mean([row.deficit for row in rows])) < 0.01


@pytest.mark.parametrize("shape", [(64, 256), (256, 64), (96, 97), (2048, 16)])
def test_noise_of_any_shape_has_no_deficit(shape):
    row = measured(matrix(gauss(3, *shape)))
    assert abs(row.deficit) < 0.01
    assert row.deficit_factor == pytest.approx(math.exp(row.deficit))


def test_a_gaussian_rectangle_has_a_valley_too():
    depths = [measured(matrix(gauss(seed, 64, 256))).valley_depth for seed in range(40)]
    # The number is of one draw, and draws spread by 0.005.
    assert np.mean(depths) == pytest.approx(0.316, abs=0.005)
    row = measured(matrix(gauss(0, 64, 256)))
    assert row.valley_depth == pytest.approx(max(row.entropy) - row.entropy_row_column)
    assert row.peak == max(row.entropy)


@pytest.mark.parametrize(
    ("rank", "centre", "peak"), [(4, 1.362, 2.954), (8, 2.040, 3.222), (64, 3.916, 4.270)]
)
def test_products_of_gaussian_factors_keep_below_the_bound_of_their_rank(rank, centre, peak):
    rows = [measured(adapter(*random_factors(256, rank, seed))) for seed in range(8)]
    for row in rows:
        assert row.numerical_rank == rank
        assert all(s <= b + 1e-12 for s, b in zip(row.entropy, row.rank_bound, strict=True))
        assert all(b <= m for b, m in zip(row.rank_bound, row.maximum, strict=True))
        assert 0.93 <= row.entropy_row_column / math.log(rank) <= 1
    # The numbers are of one draw; at rank 4 draws spread by 0.008 and 0.018.
    assert np.mean([r.entropy_row_column for r in rows]) == pytest.approx(centre, abs=0.016)
    assert np.mean([r.peak for r in rows]) == pytest.approx(peak, abs=0.036)


SHAPES = [(64, 64), (48, 80), (13, 60), (60, 13), (7, 11), (2, 128), (512, 3), (49, 25), (30, 30)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_cut_is_the_naive_svd(shape, seed):
    W = gauss(seed, *shape)
    assert measured(matrix(W)).entropy == pytest.approx(naive(W), abs=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_stored_formats_are_cut_as_they_are(dtype):
    W = torch.from_numpy(gauss(0, 30, 44)).to(dtype)
    assert measured(matrix(W)).entropy == pytest.approx(naive(W.double().numpy()), abs=1e-9)


@pytest.mark.parametrize("shape", [(64, 64, 4), (48, 80, 5), (7, 60, 3), (256, 30, 8)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_adapters_cuts_are_those_of_its_product(shape, seed):
    generator = np.random.default_rng(seed)
    m, n, r = shape
    B, A = generator.standard_normal((m, r)) * 1e-3, generator.standard_normal((r, n)) * 50
    subject = adapter(B, A)
    assert measured(subject).entropy == pytest.approx(naive(B @ A), abs=1e-9)


def test_an_adapters_product_is_never_made(monkeypatch):
    B, A = random_factors(64, 4, 0)
    subject = adapter(B, A)
    monkeypatch.setattr(LowRank, "rows", lambda *_: pytest.fail("the product was made"))
    assert measured(subject, draws=3).draws == 3


def test_a_difference_is_measured_above_its_noise_floor(monkeypatch):
    signal = planted([3, 2, 1], 48, 36).numpy()
    noisy = signal + 1e-3 * gauss(1, 48, 36)
    subject = matrix(noisy, DELTA)
    spectrum = subject.spectrum()
    floor = {**vars(spectrum), "noise_floor": 0.01}
    monkeypatch.setattr(Matrix, "spectrum", lambda self: type(spectrum)(**floor))
    row = measured(subject)
    U, s, Vt = np.linalg.svd(noisy, full_matrices=False)
    assert row.entropy == pytest.approx(naive((U[:, :3] * s[:3]) @ Vt[:3]), abs=1e-9)
    assert (row.numerical_rank, row.basis) == (3, "σ above the noise floor")
    [turned] = entanglement(matrix(noisy.T.copy(), DELTA), Params(draws=0))
    assert turned.entropy == pytest.approx(naive((Vt[:3].T * s[:3]) @ U[:, :3].T), abs=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rank", [1, 3])
def test_a_rounded_product_keeps_below_the_bound_of_its_rank(dtype, rank):
    B, A = (torch.as_tensor(factor) for factor in random_factors(64, rank, 5))
    row = measured(matrix((B @ A).to(dtype)))
    assert (row.numerical_rank, row.basis) == (rank, "σ above the noise floor")
    assert max(np.subtract(row.entropy, row.rank_bound)) < 1e-9


def test_a_full_matrix_is_measured_on_all_its_values():
    row = measured(matrix(gauss(0, 12, 8)))
    assert (row.numerical_rank, row.basis) == (8, "all σ")


@pytest.mark.parametrize("view", ["whole", DELTA])
def test_what_may_all_be_rounding_is_a_sentence(monkeypatch, view):
    subject = matrix(gauss(0, 8, 8), view)
    spectrum = subject.spectrum()
    above = type(spectrum)(**{**vars(spectrum), "noise_floor": 100.0})
    monkeypatch.setattr(Matrix, "spectrum", lambda self: above)
    with pytest.raises(ZeroMatrix, match=r"below the noise floor of 100: all of it may be"):
        list(entanglement(subject, Params()))


@given(st.sampled_from([1e-160, 1e-4, 1e4, 1e140]), st.integers(0, 9))
@settings(max_examples=12, deadline=None)
def test_no_scale_changes_a_cut(scale, seed):
    W = gauss(seed, 18, 20)
    own = measured(matrix(W)).entropy
    assert measured(matrix(W * -scale)).entropy == pytest.approx(own, abs=1e-9)


@given(st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_only_the_row_column_cut_is_free_of_the_basis(seed):
    generator = np.random.default_rng(seed)
    W = planted(np.geomspace(1, 0.01, 12), 16, 12, seed).numpy()
    U = np.linalg.qr(generator.standard_normal((16, 16)))[0]
    V = np.linalg.qr(generator.standard_normal((12, 12)))[0]
    own, turned = measured(matrix(W)), measured(matrix(U @ W @ V))
    assert turned.entropy_row_column == pytest.approx(own.entropy_row_column, abs=1e-9)
    others = [i for i in range(len(own.entropy)) if i + 1 != own.row_column]
    assert max(abs(own.entropy[i] - turned.entropy[i]) for i in others) > 1e-4


def test_a_cut_that_is_too_large_is_left_out_with_its_reason():
    W = gauss(0, 64, 64)
    row, whole = measured(matrix(W), draws=3, largest=8), measured(matrix(W))
    gone = [math.isnan(s) for s in row.entropy]
    assert gone == [d not in (2, 4, 8, 64) for d in (2, 4, 8, 16, 32, 64, 32, 16, 8, 4, 2)]
    kept = [i for i, left_out in enumerate(gone) if not left_out]
    assert [row.entropy[i] for i in kept] == pytest.approx([whole.entropy[i] for i in kept])
    assert row.remark == (
        "4 cuts left out: their smaller side is beyond 8 (raise largest for them)"
    )
    assert row.beyond_spectrum is not None
    assert math.isfinite(row.valley_depth)


def test_two_primes_leave_one_cut():
    row = measured(matrix(gauss(0, 7, 11)), draws=3)
    assert len(row.entropy) == 1
    assert (row.beyond_spectrum, row.valley_depth) == (None, 0.0)
    assert row.remark == "both sizes are prime: row|column is the only cut"


def test_what_cannot_be_cut_is_a_sentence():
    with pytest.raises(AnalysisError, match=r"1 x 8: a single row or column has no row.col"):
        list(entanglement(matrix(np.ones((1, 8))), Params()))
    with pytest.raises(ZeroMatrix):
        list(entanglement(matrix(np.zeros((4, 4))), Params()))
    with pytest.raises(NonFinite):
        list(entanglement(matrix(np.full((4, 4), np.nan)), Params()))


def test_the_references_of_a_matrix():
    row = measured(matrix(gauss(0, 6, 10)))
    assert row.left == (2.0, 6.0, 12.0)
    assert row.page == pytest.approx([page_value(2, 30), page_value(6, 10), page_value(12, 5)])
    assert row.maximum == pytest.approx([math.log(2), math.log(6), math.log(5)])
    assert row.deficit == pytest.approx(row.page[1] - row.entropy[1])
    low = measured(matrix(planted([1, 1], 6, 10)))
    assert low.rank_bound == pytest.approx([math.log(2), math.log(2), math.log(4)])


def test_the_work_is_predicted_from_shapes_alone():
    source = weights.open_model(sample.MODEL)
    chosen = ["blocks.0.q", "blocks.0.down"]
    said = work(source, Params(draws=30), chosen)
    [q, down] = [r.shape for r in source.matrices() if r.label.layer in chosen]
    cuts = sum(len(primes(m)) + len(primes(n)) - 1 for m, n in (q, down))
    assert said.words == f"{cuts} cuts of 2 matrices, 60 draws of each of the two controls"
    none = work(source, Params(draws=0), chosen)
    assert none.bytes < said.bytes
    assert none.seconds < said.seconds
    whole = work(source, Params(draws=30), [r.label.layer for r in source.matrices()])
    assert whole.bytes > said.bytes
    heads = [r.label.layer for r in source.matrices(heads=True)]
    assert "matrices" in work(source, Params(heads=True), heads).words
    assert work(source, Params(heads=True), heads).seconds > whole.seconds
    assert work(source, Params(), []).bytes == 0


@pytest.mark.parametrize("shape", [(512, 512), (4096, 64), (64, 4096)])
@pytest.mark.parametrize("draws", [0, 3])
def test_the_predicted_draws_are_those_that_are_made(shape, draws, tmp_path):
    from safetensors.torch import save_file

    save_file({"a.weight": torch.from_numpy(gauss(0, *shape)).float()}, tmp_path / "m.safetensors")
    source = weights.open_model(tmp_path / "m.safetensors")
    [ref] = source.matrices()
    params = Params(draws=draws, most_work=10)
    said = work(source, params, [ref.label.layer])
    [row] = entanglement(Matrix(weights.load(ref), ref.label, "key"), params)
    assert f" {row.draws} draws of each" in said.words
