"""The switch detector against its published numbers, and against a naive version of itself."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.numerics.switch import Detector, Settings, scale, scaled_rank

T = np.arange(301)


def decay(tau, height=1.0):
    return height * (40 + 60 * np.exp(-T / tau))


def replay(curves, **chosen):
    """Feed curves epoch by epoch; return the detector and all its readings."""
    detector = Detector(curves, Settings(**chosen))
    length = len(next(iter(curves.values())))
    readings = [
        detector.epoch({name: float(values[e]) for name, values in curves.items()})
        for e in range(length)
    ]
    return detector, readings


def switch_epoch(curves, **chosen):
    return replay(curves, **chosen)[0].switch_epoch


def naive(curves, chosen):
    """Return E by the definition, everything recomputed at each epoch."""
    w, histories, stable = chosen.ema_window, {name: [] for name in curves}, set()
    for e in range(len(next(iter(curves.values())))):
        left = len(curves) - len(stable)
        base = chosen.relative_threshold or chosen.threshold
        factor = 2 * chosen.scaling if left <= chosen.last else chosen.scaling
        bound = base * (factor if left <= chosen.few else 1)
        for name in set(curves) - stable:
            value = curves[name][e]
            histories[name].append(int(value) if chosen.integer else value)
            if e < w:
                continue
            smoothed = [histories[name][0]]
            for now in histories[name][1:]:
                smoothed.append(2 / (w + 1) * now + (1 - 2 / (w + 1)) * smoothed[-1])
            drift = np.abs(np.gradient(smoothed))[-chosen.tail :].mean()
            if chosen.relative_threshold:
                drift /= smoothed[-1]
            if drift <= bound:
                stable.add(name)
        if stable == set(curves):
            return e + 1
    return None


FOUR = {f"tau{tau}": decay(tau) for tau in (5, 10, 15, 20)}


def test_a_single_layer_gets_five_times_the_threshold():
    one = {"w": decay(10)}
    assert switch_epoch(one) == 41
    assert switch_epoch(one, scaling=0.5) == 58  # 2s = 1: the base threshold


def test_four_layers_switch_at_60_with_integers_and_61_with_floats():
    assert switch_epoch(FOUR) == 60
    assert switch_epoch(FOUR, integer=False) == 61


def test_a_constant_switches_as_soon_as_it_may_and_a_drift_never():
    assert switch_epoch({"w": np.full(301, 50.0)}) == 16
    assert switch_epoch({"w": 400.0 - T}) is None


@pytest.mark.parametrize(("height", "expected"), [(10, 67), (1, 41), (0.1, 16)])
def test_an_absolute_threshold_depends_on_the_width(height, expected):
    assert switch_epoch({"w": decay(10, height)}) == expected


def test_a_relative_threshold_does_not():
    found = {
        switch_epoch({"w": decay(10, height)}, integer=False, relative_threshold=0.002)
        for height in (0.1, 1, 10)
    }
    assert found == {43}  # by the naive version


def test_jitter_of_one_counts_as_stable():
    assert switch_epoch({"w": 50.0 + T % 2}) == 16


def test_the_threshold_is_the_same_for_all_layers_of_an_epoch():
    curves = {"a": np.full(301, 9.0), "b": np.full(301, 9.0), "c": decay(10)}
    _, readings = replay(curves)
    assert all(len({r.threshold for r in epoch.values()}) == 1 for epoch in readings)
    thresholds = [epoch["c"].threshold for epoch in readings]
    assert thresholds[:16] == [0.1] * 16  # three are unstable at the start of epoch 15
    assert thresholds[16] == 0.5


def test_stable_is_sticky_and_what_comes_after_is_still_measured():
    broken = np.concatenate([np.full(20, 30.0), np.linspace(30, 300, 281)])
    detector, readings = replay({"a": broken, "b": decay(60)})
    assert detector.since["a"] == 15
    assert readings[-1]["a"].stable
    assert readings[40]["a"].drift > readings[40]["a"].threshold
    assert readings[-1]["a"].threshold is None  # there is nothing left to decide
    assert readings[-1]["a"].smoothed == pytest.approx(300, rel=0.1)


def test_too_few_points_are_told_from_no_convergence():
    _, readings = replay({"w": np.full(20, 5.0)}, ema_window=15)
    assert [r["w"].drift is None for r in readings] == [True] * 15 + [False] * 5
    assert not readings[14]["w"].stable
    assert readings[15]["w"].stable


def test_a_layer_that_was_not_measured_keeps_its_points():
    detector = Detector(["a", "b"], Settings(ema_window=2, tail=2))
    for e in range(6):
        values = {"a": 5.0} if e in (1, 3) else {"a": 5.0, "b": 7.0}
        found = detector.epoch(values)
        assert set(found) == set(values)
    assert detector.since == {"a": 2, "b": 4}
    assert detector.switch_epoch == 5


def test_the_imagenet_setting_scales_from_six_layers_on():
    imagenet = {"ema_window": 5, "tail": 5, "threshold": 0.33, "few": 6, "last": 3}
    curves = {f"w{i}": decay(5 + i) for i in range(7)}
    _, readings = replay(curves, **imagenet)
    left = [7] + [sum(not r.stable for r in epoch.values()) for epoch in readings[:-1]]
    for unstable, epoch in zip(left, readings, strict=True):
        if unstable == 0:
            break
        expected = 0.33 * (5 if unstable <= 3 else 2.5 if unstable <= 6 else 1)
        assert epoch["w0"].threshold == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 9999),
    layers=st.integers(1, 5),
    window=st.integers(1, 15),
    tail=st.integers(1, 20),
    integer=st.booleans(),
    relative=st.booleans(),
)
def test_the_detector_is_its_naive_version(seed, layers, window, tail, integer, relative):
    generator = np.random.default_rng(seed)
    curves = {
        f"w{i}": generator.uniform(5, 100)
        + generator.uniform(-40, 60) * np.exp(-np.arange(80) / generator.uniform(2, 30))
        + generator.normal(0, 0.2, 80)
        for i in range(layers)
    }
    chosen = Settings(
        ema_window=window, tail=tail, integer=integer,
        relative_threshold=0.003 if relative else None,
    )  # fmt: skip
    assert switch_epoch(curves, **dataclasses.asdict(chosen)) == naive(curves, chosen)


@pytest.mark.parametrize(("now", "rank"), [(10.9, 22), (40.2, 88), (90, 197), (120, 256)])
def test_the_scaled_rank_of_the_design(now, rank):
    assert scale(117.867, 256, Settings()) == pytest.approx(2.18803, abs=5e-6)
    assert scaled_rank(now, 117.867, 256, Settings()) == rank


def test_the_scaled_rank_of_floats_and_of_a_floor():
    floats = Settings(integer=False)
    assert scale(117.867, 256, floats) == pytest.approx(256 / 117.867)
    assert scaled_rank(10.9, 117.867, 256, floats) == math.ceil(10.9 * 256 / 117.867) == 24
    assert scaled_rank(10.9, 117.867, 256, Settings(floor=0.5)) == 128
    assert scaled_rank(90, 117.867, 256, Settings(floor=0.2)) == 197


@given(sr0=st.integers(1, 400), full=st.integers(1, 400))
def test_the_scaled_rank_at_the_start_is_full_whatever_rounding_does(sr0, full):
    assert scaled_rank(sr0, sr0, full, Settings()) == full
    assert scaled_rank(sr0 / 2, sr0, full, Settings()) == -(-(sr0 // 2) * full // sr0)
