"""Ranks by hand, against counts made one by one."""

import numpy as np
import pytest

from analysis.compress.allocation.allocate import Allocator
from analysis.compress.allocation.curves import Curves, Layer, Losses
from analysis.compress.allocation.hand_set import at_ranks
from analysis.compress.allocation.storage import FORMS
from tests.analysis.compress import naive

NAMES = ("blocks.0.q", "blocks.0.up", "blocks.1.q")
SHAPES = ((8, 8), (12, 6), (5, 9))
EACH_FORM = pytest.mark.parametrize("form", FORMS)


def layers():
    random = np.random.default_rng(3)
    return [Layer(m, n, np.sort(random.gamma(1.0, size=min(m, n)))[::-1].copy()) for m, n in SHAPES]


def made(form):
    return Curves.of(layers(), form)


@EACH_FORM
def test_every_rank_holds_what_its_form_holds(form):
    curves = made(form)
    for name, (m, n) in zip(NAMES, SHAPES, strict=True):
        for rank in range(min(m, n) + 1):
            found = at_ranks(curves, NAMES, {name: rank})
            place = NAMES.index(name)
            assert found.numbers[place] == naive.numbers(rank, m, n, form)
            assert found.rank[place] == rank
            assert not found.dense[place]
            assert (name in found.larger) == (naive.numbers(rank, m, n, form) > m * n)


@EACH_FORM
def test_a_layer_that_is_not_named_stays_dense(form):
    found = at_ranks(made(form), NAMES, {"blocks.0.up": 2})
    assert found.dense.tolist() == [True, False, True]
    assert found.rank.tolist() == [8, 2, 5]
    assert found.numbers[[0, 2]].tolist() == [64, 45]
    assert found.lost[[0, 2]].tolist() == [0.0, 0.0]
    assert found.larger == ()


@EACH_FORM
def test_what_is_lost_is_the_energy_beyond_the_rank(form):
    found = at_ranks(made(form), NAMES, dict.fromkeys(NAMES, 2))
    energies = [layer.values**2 for layer in layers()]
    shares = [energy[2:].sum() / energy.sum() for energy in energies]
    # A share is summed over at most 8 values: a few units in its last place.
    np.testing.assert_allclose(found.lost, shares, rtol=1e-14)
    assert found.error == pytest.approx(np.sqrt(np.mean(shares)), rel=1e-14)


@EACH_FORM
def test_the_ranks_of_an_allocation_come_back_as_they_were(form):
    allocation = Allocator(made(form), "total").allocate("greedy", 0.5)
    chosen = {
        name: int(rank)
        for name, rank, dense in zip(NAMES, allocation.rank, allocation.dense, strict=True)
        if not dense
    }
    found = at_ranks(made(form), NAMES, chosen, weight=allocation.weight)
    assert found.numbers.tolist() == allocation.numbers.tolist()
    assert found.lost.tolist() == allocation.lost.tolist()
    assert found.dense.tolist() == allocation.dense.tolist()
    assert found.error == allocation.error


def test_two_factors_beyond_the_break_even_are_allowed_and_named():
    found = at_ranks(made("two_factor"), NAMES, {"blocks.0.q": 5, "blocks.0.up": 4})
    assert found.larger == ("blocks.0.q",)  # 12 x 6 breaks even at rank 4: as many, not more
    assert found.numbers.tolist() == [80, 72, 45]
    assert np.isnan(found.lost[0])
    assert np.isnan(found.error)


def test_full_rank_loses_nothing_in_either_form():
    for form in FORMS:
        found = at_ranks(made(form), NAMES, dict(zip(NAMES, (8, 6, 5), strict=True)))
        assert found.lost.tolist() == [0, 0, 0]
        assert not found.dense.any()
        assert bool(found.larger) == (form == "two_factor")


def test_where_a_smaller_rank_loses_less_the_curves_do_not_say():
    lost = np.array([4.0, 1.0, 2.0, 0.5, 0.0])
    curves = Curves.of_losses([Losses(4, 8, lost)], "row_interpolative")
    assert at_ranks(curves, ["w"], {"w": 1}).lost.tolist() == [0.25]
    assert np.isnan(at_ranks(curves, ["w"], {"w": 2}).lost[0])
    assert at_ranks(curves, ["w"], {"w": 2}).rank.tolist() == [2]
    assert at_ranks(curves, ["w"], {"w": 3}).lost.tolist() == [0.125]


@pytest.mark.parametrize(
    ("ranks", "words"),
    [
        ({"blocks.0.p": 2}, r"expected layers such as .*blocks\.0\.q.*, got 'blocks\.0\.p'"),
        ({"zzz": 2}, r"expected layers such as blocks\.0\.q, blocks\.0\.up.*, got 'zzz'"),
        ({"blocks.0.up": 7}, r"expected a rank of blocks\.0\.up from 0 to 6, got 7"),
        ({"blocks.0.up": -1}, "from 0 to 6, got -1"),
    ],
)
def test_a_mistake_is_named(ranks, words):
    with pytest.raises(ValueError, match=words):
        at_ranks(made("two_factor"), NAMES, ranks)
