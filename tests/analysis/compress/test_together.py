"""What layers lose together, from a few directions of each, against all of them."""

import numpy as np
import pytest

from analysis.compress.allocation.together import ALL, Directions, Together, levels

T = 400


def paths(K, layers, common=0.6, seed=0):
    """z (K + 1, T) of each layer: sums of directions that fall off, in part the same in all."""
    draw = np.random.default_rng(seed)
    shared = draw.standard_normal((K, T))
    size = 0.9 ** np.arange(K)[:, None]
    found = []
    for _ in range(layers):
        each = size * (common * shared + (1 - common) * draw.standard_normal((K, T)))
        tail = np.cumsum(each[::-1], axis=0)[::-1]
        found.append(np.vstack([tail, np.zeros((1, T))]))
    return found


def known(z, sample="tokens"):
    expected = 0.5 * (z**2).mean(1)
    ranks = levels(expected)
    length = np.sqrt((z[ranks] ** 2).mean(1))[:, None]
    unit = np.divide(z[ranks], length, out=np.zeros_like(z[ranks]), where=length > 0)
    return expected, Directions(sample, ranks, unit.astype(np.float16))


def together(found, samples=None):
    samples = samples or ["tokens"] * len(found)
    curves, directions = zip(*map(known, found, samples), strict=True)
    return Together(curves, directions)


def whole(found, rank, dense):
    taken = [z[k] for z, k, stays in zip(found, rank, dense, strict=True) if not stays]
    return 0.5 * float((sum(taken) ** 2).mean()) if taken else 0.0


def test_few_ranks_are_all_kept_and_the_sum_is_that_over_tokens():
    found = paths(ALL - 1, 5)
    asked = together(found)
    draw = np.random.default_rng(1)
    for _ in range(20):
        rank, dense = draw.integers(0, ALL, 5), draw.random(5) < 0.3
        shares = asked.shares(rank, dense)
        # Directions are in float16: each number within 2^-11.
        assert shares.sum() == pytest.approx(whole(found, rank, dense), rel=2**-9, abs=1e-9)
        assert (shares[dense] == 0).all()


def test_a_share_is_what_a_layer_adds_on_average_over_all_orders():
    found = paths(6, 3)
    rank, dense = np.array([2, 1, 4]), np.zeros(3, bool)
    shares = together(found).shares(rank, dense)
    z = [path[k] for path, k in zip(found, rank, strict=True)]
    for layer in range(3):
        others = [z[i] for i in range(3) if i != layer]
        subsets = [([], 2), ([0], 1), ([1], 1), ([0, 1], 2)]  # of the others, with their weights
        value = sum(
            weight
            / 6
            * 0.5
            * float(
                ((sum([others[i] for i in s], z[layer])) ** 2).mean()
                - (sum([others[i] for i in s], np.zeros(T)) ** 2).mean()
            )
            for s, weight in subsets
        )
        assert shares[layer] == pytest.approx(value, rel=2**-9)


def test_layers_that_oppose_each_other_lose_less_than_each_alone():
    [z] = paths(8, 1)
    asked = together([z, -z])
    shares = asked.shares(np.array([3, 3]), np.zeros(2, bool))
    assert np.abs(shares).max() < 1e-3 * 0.5 * (z[3] ** 2).mean()
    alone = asked.shares(np.array([3, 3]), np.array([False, True]))
    assert alone[0] == pytest.approx(0.5 * (z[3] ** 2).mean(), rel=2**-9)


@pytest.mark.parametrize("K", [100, 257])
def test_between_levels_the_sum_is_near_that_over_tokens(K):
    """Of two levels' squares 2 and 1, half way z² = 1.5 has 0.25 beside its projection on them: a
    sixth of what layers add to each other can be missed, where all else is the same in them too.
    """
    found = paths(K, 12)
    asked = together(found)
    assert max(len(known(z)[1].ranks) for z in found) <= 21
    draw = np.random.default_rng(2)
    for _ in range(20):
        rank, dense = draw.integers(0, 60, 12), draw.random(12) < 0.2
        total = asked.shares(rank, dense).sum()
        assert total == pytest.approx(whole(found, rank, dense), rel=1 / 6)


def test_a_layer_by_itself_loses_what_its_curve_says_at_every_rank():
    [z] = paths(100, 1)
    asked = together([z])
    for k in range(101):
        [share] = asked.shares(np.array([k]), np.zeros(1, bool))
        assert share == pytest.approx(0.5 * (z[k] ** 2).mean(), rel=2**-9, abs=1e-12)


def test_the_total_of_many_points_is_the_sum_of_the_shares_of_each():
    found = paths(40, 5)
    asked = together(found, ["a", "a", "b", "a", "b"])
    draw = np.random.default_rng(3)
    points = [(draw.integers(0, 41, 5), draw.random(5) < 0.3) for _ in range(7)]
    sums = [asked.shares(*point).sum() for point in points]
    assert asked.totals(points).tolist() == pytest.approx(sums, rel=1e-5)


def test_what_is_of_other_tokens_or_of_none_is_added_up_alone():
    found = paths(8, 4)
    rank, dense = np.array([1, 2, 3, 4]), np.zeros(4, bool)
    curves, directions = zip(*map(known, found, ["a", "a", "b", "b"]), strict=True)
    asked = Together(curves, (*directions[:3], None))
    shares = asked.shares(rank, dense)
    pair = whole(found[:2], rank[:2], dense[:2])
    assert shares[:2].sum() == pytest.approx(pair, rel=2**-9)
    for layer in (2, 3):
        alone = 0.5 * (found[layer][rank[layer]] ** 2).mean()
        assert shares[layer] == pytest.approx(alone, rel=2**-9)


def test_levels_are_a_factor_of_the_root_of_two_apart_and_end_at_the_full_rank():
    expected = 2.0 ** -np.arange(0, 30, 0.1)
    expected = np.append(expected, 0.0)
    found = levels(expected)
    assert found[0] == 0
    assert found[-1] == len(expected) - 1
    lengths = np.sqrt(expected[found[:-1]])
    assert (lengths[:-1] / lengths[1:] <= 2**0.5 * 2**0.05).all()  # and one rank more
    assert lengths[-1] <= lengths[0] / 500


def test_a_layer_that_loses_nothing_and_one_that_rises_are_no_trouble():
    nothing = np.zeros((31, T))
    [risen] = paths(30, 1, seed=3)
    risen[1] = 2 * risen[0]
    asked = together([nothing, risen])
    for k in range(31):
        shares = asked.shares(np.array([k, k]), np.zeros(2, bool))
        assert shares[0] == 0
        assert shares[1] == pytest.approx(0.5 * (risen[k] ** 2).mean(), rel=2**-9, abs=1e-12)
    assert Together([], []).shares(np.zeros(0, int), np.zeros(0, bool)).size == 0
