"""The methods that give nested factors: what each one minimises, and what it does not."""

from itertools import pairwise

import pytest
import torch

from analysis.compress import asvd, fwsvd, svd, two_sided_svd, welore, whitened_svd
from analysis.compress.nested import calibrated
from analysis.compress.registry import find, parse
from analysis.registry import AnalysisError
from tests.analysis.compress.calibrated import (
    errors,
    factors,
    inputs,
    layer,
    norm,
    normal,
    own_weights,
    piece,
    statistics,
    tails,
)

pytestmark = pytest.mark.usefixtures("one_thread")

NAMES = ["svd", "fwsvd", "asvd", "whitened_svd", "two_sided_svd", "welore"]
SHAPES = [(24, 40), (40, 24), (32, 32)]
EACH_METHOD = pytest.mark.parametrize("name", NAMES)
EACH_SHAPE = pytest.mark.parametrize("shape", SHAPES)


@EACH_METHOD
@EACH_SHAPE
def test_each_method_reaches_the_optimum_of_its_own_objective_at_every_rank(name, shape):
    given, _, _ = layer(*shape)
    B, A = factors(name, given)
    left, right = own_weights(name, given)
    found = errors(given.W, B, A, left, right)
    weighted = (given.W if left is None else left @ given.W) @ right
    # Two-sided: the ridge of 1e-6 on the left moves an optimum, where all is flat, by its square.
    close = (1e-6 if name == "two_sided_svd" else 1e-10) * norm(weighted)
    assert found == pytest.approx(tails(weighted, min(shape)), abs=close)
    assert all(after <= before for before, after in pairwise(found))


@EACH_METHOD
@pytest.mark.parametrize("tokens", [10, 400])
@EACH_SHAPE
def test_full_rank_gives_the_outputs_of_the_layer(name, shape, tokens):
    given, _, _ = layer(*shape, tokens=tokens, outliers=100.0)
    B, A = factors(name, given)
    assert (B.dtype, A.dtype, B.shape[1]) == (torch.float64, torch.float64, min(shape))
    x = normal(shape[1], 50, seed=9)
    assert norm(B @ (A @ x) - given.W @ x) <= 1e-10 * norm(given.W @ x)


@EACH_SHAPE
@pytest.mark.parametrize("outliers", [1.0, 1000.0])
def test_no_method_comes_nearer_to_the_outputs_than_the_whitened_one(shape, outliers):
    given, X, _ = layer(*shape, outliers=outliers)
    scale = norm(given.W @ X)
    best = errors(given.W, *factors("whitened_svd", given), right=X)
    for name in ("svd", "fwsvd", "asvd", "two_sided_svd"):
        found = errors(given.W, *factors(name, given), right=X)
        assert all(b <= f + 1e-12 * scale for b, f in zip(best, found, strict=True))
        assert max(f - b for b, f in zip(best, found, strict=True)) > 1e-4 * scale


@EACH_SHAPE
def test_no_method_comes_nearer_to_the_weights_than_plain_svd(shape):
    given, _, _ = layer(*shape)
    best = errors(given.W, *factors("svd", given))
    assert best == pytest.approx(tails(given.W, min(shape)), abs=1e-12 * norm(given.W))
    for name in ("fwsvd", "asvd", "whitened_svd", "two_sided_svd"):
        found = errors(given.W, *factors(name, given))
        assert all(b <= f + 1e-12 for b, f in zip(best, found, strict=True))
        assert max(f - b for b, f in zip(best, found, strict=True)) > 1e-3 * norm(given.W)


@pytest.mark.parametrize("seed", range(20))
def test_alternating_least_squares_from_a_random_start_finds_nothing_better(seed):
    given, _, _ = layer(16, 24)
    X = torch.linalg.cholesky(given.statistics.gram)
    [best] = errors(given.W, *factors("whitened_svd", given), right=X, ranks=[5])
    A = normal(5, 24, seed=seed)
    for _ in range(20):
        B = given.W @ X @ torch.linalg.pinv(A @ X)
        A = torch.linalg.pinv(B) @ given.W
    found = norm((given.W - B @ A) @ X)
    assert found >= best * (1 - 1e-12)
    assert found <= 1.5 * best  # and it searched


@pytest.mark.parametrize("shape", [(24, 40), (40, 24)])
def test_the_transposed_cholesky_factor_would_be_noticed(shape):
    """SVD(WLᵀ) in place of SVD(WL) is a known silent fault: far from the optimum."""
    given, X, _ = layer(*shape, outliers=30.0)
    L = torch.linalg.cholesky(given.statistics.gram)
    U, s, Vt = torch.linalg.svd(given.W @ L.T, full_matrices=False)
    wrong = torch.linalg.solve(L, (U[:, :8] * s[:8] @ Vt[:8]).T).T
    [best] = errors(given.W, *factors("whitened_svd", given), right=X, ranks=[8])
    assert norm((given.W - wrong) @ X) > 1.5 * best


def test_fewer_tokens_than_channels_break_nothing():
    given, X, _ = layer(200, 160, tokens=100, outliers=1000.0)
    B, A = factors("whitened_svd", given, shrinkage="none")
    ranks = [0, 3, 50, 99, 100, 101, 159, 160]
    found, wanted = errors(given.W, B, A, right=X, ranks=ranks), tails(given.W @ X, 160, ranks)
    assert found == pytest.approx(wanted, abs=1e-10 * norm(given.W @ X))
    assert wanted[4] <= 1e-13 * wanted[0] < wanted[3]


@pytest.mark.parametrize("seed", range(3))
def test_forty_tokens_overfit_less_when_shrunk(seed):
    few, others = inputs(160, 40, seed=seed), inputs(160, 1000, seed=seed, draw=1)
    given = piece(normal(160, 160, seed=seed), statistics(few))

    def unseen(name, **settings):
        [error] = errors(given.W, *factors(name, given, **settings), right=others, ranks=[60])
        return error

    shrunken = unseen("whitened_svd")
    assert shrunken < 0.97 * unseen("whitened_svd", shrinkage="none")
    assert shrunken == unseen("whitened_svd", shrinkage="ledoit_wolf")
    assert shrunken < unseen("svd")


def test_two_tokens_per_channel_are_not_shrunk():
    enough, few = (layer(24, 40, tokens=tokens)[0] for tokens in (80, 79))
    for given, same in ((enough, True), (few, False)):
        _, auto = factors("whitened_svd", given)
        _, none = factors("whitened_svd", given, shrinkage="none")
        assert torch.equal(auto, none) == same


def test_fwsvd_weighs_input_features_and_not_outputs():
    """A feature without gradients is the first to be lost; m = n, so no shape gives it away."""
    W = torch.eye(6, dtype=torch.float64)
    squared = torch.tensor([4.0, 9, 0, 1, 16, 25], dtype=torch.float64)
    given = piece(W, statistics(inputs(6, 30), squared=squared))
    B, A = factors("fwsvd", given)
    order = squared.argsort(descending=True).tolist()
    for k in range(7):
        kept = (B[:, :k] @ A[:k]).diagonal() > 0.5
        assert sorted(kept.nonzero().flatten().tolist()) == sorted(order[:k])
    upper = normal(6, 6).triu()  # columns of W are features: row weights would choose others
    B, A = factors("fwsvd", piece(upper, given.statistics))
    d = torch.diag(squared.sqrt())
    assert errors(upper, B, A, right=d) == pytest.approx(tails(upper @ d, 6), abs=1e-12)


def test_asvd_without_an_exponent_is_plain_svd_and_with_one_it_follows_the_magnitudes():
    given, _, _ = layer(20, 30, outliers=50.0)
    B, A = factors("svd", given)
    C, D = factors("asvd", given, alpha=0.0)
    torch.testing.assert_close(B[:, :7] @ A[:7], C[:, :7] @ D[:7], rtol=0, atol=1e-11)
    whole = torch.diag(given.statistics.mean_abs)
    found = errors(given.W, *factors("asvd", given, alpha=1.0), right=whole)
    assert found == pytest.approx(tails(given.W @ whole, 20), abs=1e-10 * norm(given.W @ whole))


def test_several_layers_are_decomposed_each_by_itself_and_none_is_changed():
    one, _, _ = layer(12, 20)
    other = piece(normal(20, 12, seed=4).float(), layer="blocks.0.o")
    before = one.W.clone(), other.W.clone()
    found = svd.svd([one, other], svd.Params())
    assert list(found) == ["blocks.0.q.B", "blocks.0.q.A", "blocks.0.o.B", "blocks.0.o.A"]
    assert norm(found["blocks.0.o.B"] @ found["blocks.0.o.A"] - other.W.double()) < 1e-12
    assert torch.equal(one.W, before[0])
    assert torch.equal(other.W, before[1])


def test_welore_factors_are_those_of_svd_and_its_settings_are_checked():
    given, _, _ = layer(12, 20)
    for ours, theirs in zip(factors("welore", given), factors("svd", given), strict=True):
        assert torch.equal(ours, theirs)
    method = find("welore")
    assert parse(method, {}) == welore.Params("lrc", 0.5)
    assert parse(method, {"layers": "all"}) == welore.Params("all", 0.5)
    with pytest.raises(AnalysisError, match="layers to be one of lrc, all"):
        parse(method, {"layers": "some"})


def test_settings_are_read_from_words():
    assert parse(find("asvd"), {"alpha": "0.25"}) == asvd.Params(0.25)
    assert parse(find("whitened_svd"), {"shrinkage": "ridge"}) == whitened_svd.Params("ridge")
    chosen = parse(find("two_sided_svd"), {"gradient": "diagonal"})
    assert chosen == two_sided_svd.Params("diagonal", "auto")
    with pytest.raises(AnalysisError, match="shrinkage to be one of auto, none"):
        parse(find("whitened_svd"), {"shrinkage": "much"})


def test_every_method_says_what_it_takes_from_a_calibration():
    needs = {name: set(find(name).needs) for name in NAMES}
    assert needs["svd"] == needs["welore"] == set()
    assert needs["fwsvd"] == {"squared"}
    assert needs["asvd"] == needs["whitened_svd"] == {"gram"}
    assert needs["two_sided_svd"] == {"gram", "gradient"}
    assert fwsvd.Params() == fwsvd.Params()
    given, _, _ = layer(4, 5)
    assert calibrated(given, "asvd") is given.statistics
