"""What a share of numbers buys for each module's update, beside a naive choice of directions."""

import itertools

import numpy as np
import pytest

from analysis.compress.lora.budget import RULES, ranks_within


def drawn_layers(seed):
    """Three spectra of σ², each of another magnitude, sizes m + n, and a budget."""
    draw = np.random.default_rng(seed)
    spectra = [10.0**i * np.sort(draw.exponential(size=3))[::-1] for i in draw.permutation(3)]
    return spectra, draw.integers(3, 9, size=3).tolist(), int(draw.integers(0, 40))


def naive(budget, gains, sizes, level=0):
    """Ranks by one direction after the other: of all next ones that still fit, the best."""
    ranks, out = [0] * len(gains), set()
    while True:
        ahead = [i for i, (k, g) in enumerate(zip(ranks, gains, strict=True)) if k < len(g)]
        ahead = [i for i in ahead if i not in out and gains[i][ranks[i]] > 0]
        if not ahead:
            return ranks
        best = max(ahead, key=lambda i: (-level * ranks[i], gains[i][ranks[i]] / sizes[i]))
        if sizes[best] > budget - sum(k * size for k, size in zip(ranks, sizes, strict=True)):
            out.add(best)
        else:
            ranks[best] += 1


@pytest.mark.parametrize("seed", range(20))
def test_ranks_are_those_of_one_direction_after_the_other(seed):
    spectra, sizes, budget = drawn_layers(seed)
    own = [s / s.sum() for s in spectra]
    found = {rule: ranks_within(budget, spectra, sizes, rule) for rule in RULES}
    assert found == {
        "uniform": naive(budget, own, sizes, level=1),
        "relative": naive(budget, own, sizes),
        "total": naive(budget, spectra, sizes),
    }


@pytest.mark.parametrize("rule", ["relative", "total"])
@pytest.mark.parametrize("seed", range(20))
def test_no_ranks_within_a_budget_keep_more_by_a_direction(seed, rule):
    spectra, sizes, budget = drawn_layers(seed)
    ranks = ranks_within(budget, spectra, sizes, rule)
    if rule == "relative":
        spectra = [s / s.sum() for s in spectra]
    held = sum(k * size for k, size in zip(ranks, sizes, strict=True))
    kept = sum(s[:k].sum() for s, k in zip(spectra, ranks, strict=True))
    assert held <= budget
    # Nothing that is left fits any more.
    assert all(k == 3 or size > budget - held for k, size in zip(ranks, sizes, strict=True))
    best = max(
        sum(s[:k].sum() for s, k in zip(spectra, every, strict=True))
        for every in itertools.product(range(4), repeat=3)
        if sum(k * size for k, size in zip(every, sizes, strict=True)) <= budget
    )
    assert best - max(s[0] for s in spectra) <= kept <= best * (1 + 1e-12)
    if len(set(sizes)) == 1:
        assert kept == pytest.approx(best)


def test_small_layers_directions_are_worth_more():
    spectra = [np.array([10.0]), np.array([6.0, 5.5])]
    assert ranks_within(10, spectra, [10, 5], "total") == [0, 2]


def test_a_rule_is_of_each_modules_own_energy_of_all_or_of_none():
    """One module changes little, and in one direction; the other much, and in two."""
    spectra, sizes = [np.array([1.0, 0.01]), np.array([90.0, 80.0])], [5, 5]
    assert ranks_within(10, spectra, sizes, "total") == [0, 2]
    assert ranks_within(10, spectra, sizes, "relative") == [1, 1]
    assert ranks_within(15, spectra, sizes, "relative") == [1, 2]
    three = [np.array([1.0, 0.9, 0.8]), np.array([1.0, 1e-6, 1e-7])]
    assert ranks_within(20, three, sizes, "relative") == [3, 1]
    assert ranks_within(20, three, sizes, "uniform") == [2, 2]
    assert ranks_within(25, three, sizes, "uniform") == [3, 2]


def test_a_uniform_rank_is_that_of_every_module_that_has_it():
    spectra = [np.ones(2), np.ones(5), np.ones(5)]
    assert ranks_within(4 * 10 + 2 * 3, spectra, [3, 5, 5], "uniform") == [2, 4, 4]


@pytest.mark.parametrize("rule", RULES)
def test_a_direction_that_keeps_nothing_is_never_taken(rule):
    assert ranks_within(100, [np.array([1.0, 0.0]), np.zeros(2)], [5, 5], rule) == [1, 0]
    assert ranks_within(100, [], [], rule) == []
    with pytest.raises(ValueError, match="at least 0"):
        ranks_within(-1, [], [], rule)


def test_an_unknown_rule_is_named():
    with pytest.raises(ValueError, match="expected a rule of uniform, relative, total, got 'best'"):
        ranks_within(10, [np.ones(2)], [5], "best")
