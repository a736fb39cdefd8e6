"""ASVD's search against every cut that there is."""

from fractions import Fraction

import numpy as np
import pytest

from analysis.compress.allocation.allocate import Allocator
from analysis.compress.allocation.curves import OBJECTIVES, Curves, Layer
from analysis.compress.allocation.sensitivity_cut import _search, _tried, allocate
from analysis.compress.allocation.storage import FORMS
from analysis.registry import AnalysisError
from tests.analysis.compress import naive

EACH_FORM = pytest.mark.parametrize("form", FORMS)
NAMES = tuple("abcd")


def made(seed, *, falling=True):
    """Random layers, each measured at a few ranks; losses that fall with the rank, or do not."""
    random = np.random.default_rng(seed)
    layers, rows = [], []
    for name in NAMES:
        m, n = (int(side) for side in random.integers(3, 12, 2))
        values = np.sort(random.gamma(1.0, size=min(m, n)))[::-1].copy()
        layers.append(Layer(m, n, values))
        ranks = sorted({max(1, int(share * min(m, n))) for share in np.arange(1, 10) / 10})
        losses = 3 + random.exponential(0.1, len(ranks))
        losses = np.round(np.sort(losses)[::-1] if falling else losses, 2)  # some are equal
        for rank, loss in zip(ranks, losses, strict=True):
            rows.append({"layer": name, "rank": rank, "loss": float(loss)})
    random.shuffle(rows)
    return layers, rows


def points_at(layers, rows, form, cut):
    """Each layer's position among its points: the fewest numbers that the cut allows."""
    found = []
    for name, layer in zip(NAMES, layers, strict=True):
        points = naive.points(layer, form)
        at = len(points) - 1
        for row in rows:
            if row["layer"] == name and row["loss"] <= cut and row["rank"] < len(points) - 1:
                at = min(at, row["rank"])
        found.append(at)
    return found


def by_every_cut(layers, rows, form, budget):
    """The smallest of all cuts that fits, tried one by one; None where none does."""
    cuts = [-np.inf, *sorted({row["loss"] for row in rows})]
    fits = [c for c in cuts if naive.held(layers, points_at(layers, rows, form, c), form) <= budget]
    return min(fits, default=None)


@EACH_FORM
@pytest.mark.parametrize("falling", [True, False])
def test_it_is_the_smallest_cut_that_fits(form, falling):
    random, reached = np.random.default_rng(5), 0
    for seed in range(150):
        layers, rows = made(seed, falling=falling)
        curves = Curves.of(layers, form)
        budget = int(Fraction(int(random.integers(1, 101)), 100) * curves.total)
        wanted = by_every_cut(layers, rows, form, budget)
        at, cut = _search(curves, _tried(curves, NAMES, rows), budget)
        if wanted is None:
            assert curves.cost[at].sum() > budget
            continue
        reached += 1
        assert (at - curves.start).tolist() == points_at(layers, rows, form, wanted), seed
        assert cut == (None if wanted == -np.inf else wanted)
    assert 75 < reached < 150


@EACH_FORM
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_remainder_is_handed_out_by_the_objective(form, objective):
    for seed in range(40):
        layers, rows = made(seed)
        curves = Curves.of(layers, form)
        kept = Fraction(65, 100)
        budget = int(kept * curves.total)
        cut = by_every_cut(layers, rows, form, budget)
        if cut is None:
            continue
        found = allocate(Allocator(curves, objective), NAMES, rows, kept)
        base = points_at(layers, rows, form, cut)
        wanted = naive.handed_out(layers, base, budget, form, objective)
        assert (found.at - curves.start).tolist() == wanted, seed
        assert found.numbers.sum() <= budget
        assert found.threshold == cut


@EACH_FORM
def test_everything_kept_is_all_dense(form):
    layers, rows = made(1)
    found = allocate(Allocator(Curves.of(layers, form)), NAMES, rows, 1.0)
    assert found.dense.all()
    assert found.threshold is None


def test_a_layer_that_hurts_stays_dense_and_one_without_a_measurement_too():
    layers = [Layer(10, 10, np.ones(10)) for _ in NAMES]
    rows = [
        {"layer": name, "rank": 1, "loss": loss}
        for name, loss in zip("abc", (1, 2, 9), strict=True)
    ]
    found = allocate(Allocator(Curves.of(layers, "two_factor")), NAMES, rows, 0.6)
    assert found.threshold == 2
    assert found.dense.tolist() == [False, False, True, True]


def test_a_size_that_was_never_measured_is_refused_with_the_smallest():
    layers, rows = made(2)
    curves = Curves.of(layers, "two_factor")
    with pytest.raises(AnalysisError, match=r"kept 1\.0% cannot be reached .* down to \d+\.\d%"):
        allocate(Allocator(curves), NAMES, rows, 0.01)
    with pytest.raises(AnalysisError, match=r"down to 100\.0%"):
        allocate(Allocator(curves), NAMES, [], 0.9)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"layer": "z", "rank": 1, "loss": 1.0}, "expected a layer of the curves, got 'z'"),
        ({"layer": "a", "rank": 1, "loss": float("nan")}, "expected a finite loss of a, got nan"),
    ],
)
def test_a_mistake_is_named(row, words):
    layers, rows = made(2)
    with pytest.raises(ValueError, match=words):
        allocate(Allocator(Curves.of(layers, "two_factor")), NAMES, [*rows, row], 0.9)
