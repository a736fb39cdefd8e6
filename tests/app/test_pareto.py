import numpy as np
import pytest

from app.plots import pareto


def naive_front(size, lost, margin):
    """Return the front from its definition, by recursion over all earlier trials."""
    place = {trial: rank for rank, trial in enumerate(np.lexsort((lost, size)))}

    def best(trial):
        earlier = [other for other in place if place[other] < place[trial]]
        return all(
            lost[other] - lost[trial] > margin[other, trial] for other in earlier if best(other)
        )

    return [best(trial) for trial in range(len(size))]


@pytest.mark.parametrize("seed", range(30))
def test_the_front_is_the_naive_one(seed):
    random = np.random.default_rng(seed)
    count = int(random.integers(1, 10))
    size, lost = random.integers(0, 6, count).astype(float), random.integers(0, 8, count) / 4.0
    half = random.uniform(0, 0.6, count)
    margin = np.add.outer(half, half)
    assert pareto.front(size, lost, margin).tolist() == naive_front(size, lost, margin)


@pytest.mark.parametrize("seed", range(20))
def test_without_intervals_the_front_is_what_no_other_dominates(seed):
    random = np.random.default_rng(seed)
    size, lost = random.permutation(12).astype(float), random.permutation(12).astype(float)
    beaten = [
        any(size[j] < size[i] and lost[j] < lost[i] for j in range(12) if j != i) for i in range(12)
    ]
    found = pareto.front(size, lost, np.zeros((12, 12)))
    assert (~found).tolist() == beaten


def test_a_gain_inside_the_interval_is_none_but_gains_do_not_vanish_one_by_one():
    size, lost = np.arange(5.0), np.array([1.0, 0.9, 0.8, 0.7, 0.6])
    margin = np.full((5, 5), 0.15)
    assert pareto.front(size, lost, margin).tolist() == [True, False, True, False, True]


def test_of_two_at_nearly_one_size_the_better_is_on_the_front():
    size = np.array([5_600_000.0, 5_600_400.0, 7_300_000.0])
    lost, margin = np.array([0.31, 0.26, 0.07]), np.zeros((3, 3))
    assert pareto.front(size, lost, margin).tolist() == [False, True, True]
    assert pareto.front(size, lost[[1, 0, 2]], margin).tolist() == [True, False, True]
    size[1] *= 1.01
    assert pareto.front(size, lost, margin).tolist() == [True, True, True]


def test_margins_are_those_of_the_differences_of_the_same_windows():
    random = np.random.default_rng(0)
    counts = random.integers(50, 200, 40).astype(float)
    text = counts * random.normal(2.0, 0.5, 40)
    nats = [text + counts * random.normal(lost, 0.02, 40) for lost in (0.0, 0.1)]
    half = pareto.margins(nats, counts)
    assert half[0, 0] == 0
    np.testing.assert_allclose(half, half.T)
    drawn = random.integers(0, 40, (4000, 40))
    apart = nats[1] - nats[0]
    means = apart[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(means, [0.025, 0.975])
    assert half[0, 1] == pytest.approx((high - low) / 2, rel=0.1)
    # The text's own spread is a hundred times as large, and cancels.
    assert half[0, 1] < 0.02
