"""Spearman's ρ and paired intervals against scipy and resampling by hand."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from analysis.evaluate.difference import loss_difference, order_difference
from analysis.evaluate.spearman import Order, spearman


@pytest.mark.parametrize("seed", range(3))
def test_rho_is_scipys_with_ties(seed):
    random = np.random.default_rng(seed)
    a, b = random.integers(0, 6, 40) / 2, random.normal(size=40)
    expected = stats.spearmanr(a, b).statistic
    assert float(spearman(Order(a), Order(b))) == pytest.approx(expected, abs=1e-12)


def test_rho_of_items_that_count_several_times_is_that_of_the_copies():
    random = np.random.default_rng(0)
    a, b = random.integers(0, 5, 20).astype(float), random.normal(size=20)
    times = random.integers(0, 4, (7, 20))
    found = spearman(Order(a), Order(b), torch.tensor(times, dtype=torch.float64))
    for row, value in zip(times, found.tolist(), strict=True):
        copies = np.repeat(np.arange(20), row)
        assert value == pytest.approx(stats.spearmanr(a[copies], b[copies]).statistic, abs=1e-12)


def test_equal_values_order_nothing():
    assert float(spearman(Order([1.0, 1.0, 1.0]), Order([1.0, 2.0, 3.0]))) == 0


def test_loss_difference_weighs_windows_by_their_tokens():
    trial, dense, counts = [30.0, 4.0], [20.0, 5.0], [10, 1]
    value, low, high = loss_difference(trial, dense, counts, seed=0)
    assert value == pytest.approx(9 / 11)
    # Two windows drawn with replacement: both the first, one of each, both the second.
    assert (low, high) == pytest.approx((-1.0, 1.0))


def test_its_interval_is_that_of_the_normal_distribution_for_many_windows():
    random = np.random.default_rng(1)
    dense = random.normal(700, 90, 400)
    trial = dense + random.normal(5, 10, 400)
    value, low, high = loss_difference(trial, dense, [255] * 400, seed=3)
    spread = (trial - dense).std() / math.sqrt(400) / 255
    assert value == pytest.approx((trial - dense).mean() / 255)
    # The quantiles of 4,000 draws have a standard error of about 0.04 spreads.
    assert low == pytest.approx(value - 1.96 * spread, abs=0.2 * spread)
    assert high == pytest.approx(value + 1.96 * spread, abs=0.2 * spread)
    assert loss_difference(trial, dense, [255] * 400, seed=3) == (value, low, high)
    assert loss_difference(trial, dense, [255] * 400, seed=4) != (value, low, high)


def test_order_difference_is_positive_where_the_trial_is_worse():
    random = np.random.default_rng(2)
    gold = random.integers(0, 11, 60) / 2
    dense, trial = gold + random.normal(0, 1, 60), gold + random.normal(0, 3, 60)
    value, low, high = order_difference(trial, dense, gold, seed=0)
    rho = [stats.spearmanr(each, gold).statistic for each in (dense, trial)]
    assert value == pytest.approx(rho[0] - rho[1], abs=1e-12)
    again = []
    for _ in range(1000):
        i = random.integers(0, 60, 60)
        again.append(
            stats.spearmanr(dense[i], gold[i]).statistic
            - stats.spearmanr(trial[i], gold[i]).statistic
        )
    expected = np.quantile(again, [0.025, 0.975])
    # A quantile of 1,000 draws has a standard error of about 0.08 standard deviations.
    assert [low, high] == pytest.approx(expected, abs=0.4 * np.std(again))


def test_one_window_gives_no_interval():
    value, low, high = loss_difference([3.0], [2.0], [4], seed=0)
    assert value == 0.25
    assert math.isnan(low)
    assert math.isnan(high)
