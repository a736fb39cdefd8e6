"""WeLore's classification: the nearest size below, against every threshold there is."""

import numpy as np
import pytest

from analysis.compress.allocation import lrc
from analysis.compress.allocation.curves import Losses
from analysis.compress.trials import choosing
from analysis.compress.trials.choosing import Budget, choose_ranks
from analysis.compress.trials.specs import Spec
from analysis.compress.welore import Params
from analysis.networks.errors import BadInput

FORMS = ("two_factor", "row_interpolative")


def made(seed, count=4):
    """Layers with their singular values."""
    random = np.random.default_rng(seed)
    layers, values = [], []
    for _ in range(count):
        m, n = random.integers(3, 12, 2)
        s = np.sort(random.gamma(0.5, size=min(m, n)))[::-1] * random.uniform(0.1, 10)
        lost = np.append(np.cumsum(s[::-1] ** 2)[::-1], 0.0)
        layers.append(Losses(int(m), int(n), lost))
        values.append(s)
    return layers, values


def naive(layers, values, tau, form, cutoff):
    """The ranks of one threshold, and what they hold."""
    ranks, numbers = [], 0
    for layer, s in zip(layers, values, strict=True):
        m, n, full = layer.rows, layer.cols, len(s)
        kept = sum((x - s[-1]) / (s[0] - s[-1]) >= tau for x in s)
        held = kept * (m + n) if form == "two_factor" else kept * (m + n - kept)
        dense = kept == full or (full - kept) / full < cutoff or held >= m * n
        ranks.append(None if dense else kept)
        numbers += m * n if dense else held
    return tuple(ranks), numbers


def thresholds(values):
    """One τ between any two that differ, and one at each end."""
    scaled = np.unique(np.concatenate([(s - s[-1]) / (s[0] - s[-1]) for s in values]))
    return [0.0, *((scaled[1:] + scaled[:-1]) / 2), 1.0]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cutoff", [0.0, 0.3, 0.5])
def test_the_nearest_size_below_of_all_thresholds(form, cutoff):
    for seed in range(40):
        layers, values = made(seed)
        total = sum(layer.rows * layer.cols for layer in layers)
        every = [naive(layers, values, tau, form, cutoff) for tau in thresholds(values)]
        for share in (0.3, 0.55, 0.8, 0.97, 1.0):
            budget = int(share * total)
            found = lrc.classify(layers, budget, form, cutoff)
            fitting = [(ranks, held) for ranks, held in every if held <= budget]
            if not fitting:
                assert found.numbers == min(held for _, held in every) > budget
                continue
            assert found.numbers == max(held for _, held in fitting)
            assert found.ranks == next(r for r, held in fitting if held == found.numbers)
            assert naive(layers, values, found.threshold, form, cutoff) == (
                found.ranks,
                found.numbers,
            )


@pytest.mark.parametrize("form", FORMS)
def test_numbers_fall_as_the_threshold_rises(form):
    """What the search relies on."""
    for seed in range(40):
        layers, values = made(seed)
        held = [naive(layers, values, tau, form, 0.5)[1] for tau in thresholds(values)]
        assert held == sorted(held, reverse=True)


def test_equal_values_are_left_dense():
    flat = Losses(6, 4, np.arange(4.0, -1.0, -1.0))
    assert lrc.classify([flat], 24, "two_factor", 0.5).ranks == (None,)
    assert lrc.classify([flat], 1, "two_factor", 0.5).numbers == 24


def rows(layers):
    return [
        {"layer": f"w{i}", "rows": one.rows, "cols": one.cols, "plain": one.lost,
         "whitened": (), "heldout": (), "expected": ()}
        for i, one in enumerate(layers)
    ]  # fmt: skip


def test_a_trial_of_it_is_coarse_and_never_above_its_budget():
    layers, _ = made(3)
    total = sum(layer.rows * layer.cols for layer in layers)
    spec = Spec("welore", kept=0.8, allocation="welore", form="two_factor")
    found = choose_ranks(spec, Params(cutoff=0.3), rows(layers), Budget(0.8, total, 0))
    held = sum(
        choosing.numbers_of(one.rows, one.cols, found.ranks[f"w{i}"], "two_factor")
        for i, one in enumerate(layers)
    )
    assert held == lrc.classify(layers, int(0.8 * total), "two_factor", 0.3).numbers <= 0.8 * total
    assert found.coarse
    every = choose_ranks(spec, Params(layers="all"), rows(layers), Budget(0.8, total, 0))
    assert not every.coarse
    assert every.ranks != found.ranks


def test_a_size_that_no_threshold_reaches_is_refused_with_the_least():
    layers, _ = made(3)
    total = sum(layer.rows * layer.cols for layer in layers)
    least = lrc.classify(layers, 0, "two_factor", 0.5).numbers
    spec = Spec("welore", kept=0.01, allocation="welore", form="two_factor")
    with pytest.raises(BadInput, match=r"1 % of .* only what WeLore calls low-rank leaves") as said:
        choose_ranks(spec, Params(), rows(layers), Budget(0.01, total, 0))
    shown = float(str(said.value).split("at least ")[1].split(" %")[0]) / 100
    assert least / total <= shown < least / total + 0.001
