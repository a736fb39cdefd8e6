"""The paired difference of two trials: by hand, against a naive bootstrap, and when it is none."""

import numpy as np
import pytest

from jobs.comparison import paired

GENERATOR = np.random.default_rng(3)
COUNTS = GENERATOR.integers(50, 200, 24).astype(float)
TEXT = COUNTS * GENERATOR.normal(2.0, 0.5, 24)  # a spread that both trials share
FIRST = TEXT + COUNTS * GENERATOR.normal(0.10, 0.02, 24)
SECOND = TEXT + COUNTS * GENERATOR.normal(0.04, 0.02, 24)


def trial(nats=FIRST, **more):
    return {"metric": "loss", "evaluated_on": "a text", "counts": COUNTS, "nats": nats,
            "dense_nats": TEXT} | more  # fmt: skip


def test_the_mean_is_of_tokens_and_not_of_windows():
    found = paired.loss_difference(np.array([10.0, 3.0]), np.array([8.0, 3.0]), np.array([1.0, 3]))
    assert found.mean == pytest.approx(2 / 4)


@pytest.mark.parametrize("seed", [0, 5])
def test_the_interval_is_that_of_a_naive_bootstrap_with_the_same_seed(seed, monkeypatch):
    monkeypatch.setattr(paired, "RESAMPLES", 200)
    monkeypatch.setattr(paired, "DRAWN_AT_ONCE", 24 * 7)  # in several parts, the last one short
    found = paired.loss_difference(FIRST, SECOND, COUNTS, seed)
    generator, means = np.random.default_rng(seed), []
    for _ in range(200):
        apart = tokens = 0.0
        for window in generator.integers(24, size=24):
            apart += FIRST[window] - SECOND[window]
            tokens += COUNTS[window]
        means.append(apart / tokens)
    low, high = np.quantile(means, [0.025, 0.975])
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert found.low < found.mean < found.high


def test_what_both_share_cancels():
    wide = TEXT.std() / np.sqrt(24) / COUNTS.mean()
    found = paired.of_trials(trial(), trial(SECOND))
    assert found.high - found.low < wide / 3
    assert found.low > 0


def test_equal_trials_do_not_differ_at_all():
    found = paired.loss_difference(FIRST, FIRST, COUNTS)
    assert (found.mean, found.low, found.high) == (0.0, 0.0, 0.0)


def test_one_window_gives_no_interval_and_none_is_refused():
    found = paired.loss_difference(FIRST[:1], SECOND[:1], COUNTS[:1])
    assert np.isnan([found.low, found.high]).all()
    with pytest.raises(ValueError, match="one or more windows"):
        paired.loss_difference(FIRST[:0], SECOND[:0], COUNTS[:0])
    with pytest.raises(ValueError, match="got 24, 24 and 3"):
        paired.loss_difference(FIRST, SECOND, COUNTS[:3])


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({}, ""),
        ({"dense_nats": TEXT * (1 + 1e-5)}, ""),
        ({"evaluated_on": "another text"}, "different texts"),
        ({"counts": COUNTS + 1}, "different windows"),
        ({"dense_nats": TEXT[::-1]}, "different windows"),
        ({"nats": None}, "different windows"),
        ({"metric": "spearman"}, "people's scores"),
    ],
)
def test_trials_are_paired_only_on_the_same_windows(more, why):
    said = paired.why_not(trial(), trial(SECOND) | more)
    assert why in said
    assert bool(said) == bool(why)
