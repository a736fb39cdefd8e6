"""What both stable-rank analyses say of a layer at an epoch."""

import dataclasses

import pytest

from analysis.numerics.switch import Settings
from analysis.numerics.switch_rows import Measured, Tracked, Tracker

QUICK = Settings(ema_window=2, tail=2, integer=False)


def track(values, settings=QUICK, **extra):
    """Feed one dict of stable ranks per epoch (20 x 30 layers); return all rows by epoch."""
    tracker = Tracker(settings, dict.fromkeys(values[0], ""))
    return [
        {row["layer"]: row for row in tracker.epoch(10 * e, e, layers(found), **extra)}
        for e, found in enumerate(values)
    ]


def layers(found):
    return [Measured(name, (20, 30), value) for name, value in found.items()]


def test_a_constant_layer_goes_from_too_few_to_stable_and_gets_its_ranks():
    rows = track([{"a": 5.0}] * 4)
    assert [r["a"]["state"] for r in rows] == ["too few checkpoints"] * 2 + ["stable"] * 2
    assert [r["a"]["model_switch_epoch"] for r in rows] == [None, None, 3, 3]
    assert [r["a"]["switch_rank"] for r in rows] == [None, None, 20, 20]
    assert [r["a"]["step"] for r in rows] == [0, 10, 20, 30]
    assert rows[3]["a"]["stable_since"] == 2
    assert rows[0]["a"]["scale"] == 4.0


def test_ranks_are_those_of_the_switch_and_the_present_one_goes_on():
    rows = track([{"a": 10.0}, {"a": 5.0}, {"a": 5.0}, {"a": 5.0}, {"a": 8.0}], dataclasses.replace(
        QUICK, threshold=2.0))  # fmt: skip
    assert rows[2]["a"]["model_switch_epoch"] == 3
    assert [r["a"]["rank"] for r in rows] == [20, 10, 10, 10, 16]
    assert [r["a"]["switch_rank"] for r in rows] == [None, None, 10, 10, 10]


def test_a_layer_that_drifts_holds_the_switch():
    rows = track([{"a": 5.0, "b": 20.0 - 3 * e} for e in range(6)])
    assert rows[5]["a"]["state"] == "stable"
    assert rows[5]["b"]["state"] == "not converged"
    assert (rows[5]["b"]["model_unstable"], rows[5]["b"]["model_layers"]) == (1, 2)
    assert rows[5]["b"]["model_switch_epoch"] is None
    assert rows[5]["b"]["drift"] > rows[5]["b"]["threshold"] == 0.5


def test_who_has_no_say_is_measured_and_says_why():
    silent = {"embed": "embedding", "first": "", "second": ""}
    tracker = Tracker(dataclasses.replace(QUICK, leading=1), silent)
    for e in range(3):
        found = tracker.epoch(e, e, [
            Measured("embed", (20, 30), 9.0),
            Measured("first", (20, 30), 15.0 - 5 * e),
            Measured("second", (20, 30), 5.0),
        ])  # fmt: skip
    embed, first, second = found
    assert (embed["stable_rank"], embed["state"]) == (9.0, "no say")
    assert embed["reason"] == "embedding"
    assert "stay at full rank" in first["reason"]
    assert first["rank"] is None
    assert (second["model_layers"], second["model_switch_epoch"]) == (1, 3)


def test_a_layer_without_a_value_says_why_and_waits():
    tracker = Tracker(QUICK, {"a": ""})
    for e, value in enumerate([None, 5.0, None, 5.0, 5.0]):
        reason = "every entry is zero" if value is None else ""
        [row] = tracker.epoch(e, e, [Measured("a", (20, 30), value, reason)])
        if value is None:
            assert (row["state"], row["reason"]) == ("not measured", reason)
            assert row["drift"] is row["stable_rank"] is None
    assert row["state"] == "stable"
    assert (row["stable_since"], row["model_switch_epoch"]) == (4, 5)


def test_between_epochs_is_measured_and_not_counted():
    tracker = Tracker(QUICK, {"a": ""})
    for epoch, value in [(0, 5.0), (0.5, 90.0), (1, 5.0), (1.5, 90.0), (2, 5.0)]:
        [row] = tracker.epoch(int(10 * epoch), epoch, layers({"a": value}))
        if epoch % 1:
            assert (row["state"], row["stable_rank"], row["drift"]) == ("between epochs", 90, None)
    assert (row["smoothed"], row["model_switch_epoch"]) == (5.0, 3)


def test_no_layer_with_a_say_never_switches():
    tracker = Tracker(QUICK, {"a": "embedding"})
    for e in range(5):
        [row] = tracker.epoch(e, e, [Measured("a", (20, 30), 3.0)])
    assert (row["model_switch_epoch"], row["model_layers"]) == (None, 0)


def test_every_setting_is_in_every_row():
    [row] = Tracker(Settings(floor=0.25), {"a": ""}).epoch(0, 0, layers({"a": 3.0}))
    declared = {field.name for field in dataclasses.fields(Tracked)}
    assert set(row) == declared
    for field in dataclasses.fields(Settings):
        name = {"threshold": "base_threshold"}.get(field.name, field.name)
        assert row[name] == getattr(Settings(floor=0.25), field.name)
    assert Tracked(**row).rank == 20


@pytest.mark.parametrize("integer", [True, False])
def test_the_float_is_kept_whatever_the_rule_counts(integer):
    [row] = Tracker(Settings(integer=integer), {"a": ""}).epoch(0, 0, layers({"a": 3.7}))
    assert row["stable_rank"] == 3.7
    assert row["smoothed"] == (3 if integer else 3.7)


def test_a_layer_that_is_absent_at_the_switch_gets_the_rank_it_had_last():
    values = [{"a": 10.0, "b": 4.0}] * 3 + [{"a": 10.0, "b": 4.0}]
    tracker = Tracker(QUICK, {"a": "", "b": "", "c": ""})
    for e, found in enumerate([*values, {"c": 3.0}, {"c": 3.0}, {"c": 3.0}]):
        rows = tracker.epoch(e, e, [*layers(found), Measured("z", (2, 2), None, "gone")])
    assert rows[0]["model_switch_epoch"] == 7
    last = tracker.epoch(7, 7, layers({"a": 9.0, "b": 2.0, "c": 3.0}))
    assert [row["switch_rank"] for row in last] == [20, 20, 20]
    assert [row["rank"] for row in last] == [18, 10, 20]
