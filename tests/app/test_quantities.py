import numpy as np
import pytest

from app import quantities


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.04321, "0.0432"),
        (52.44, "52.4"),
        (278.4, "278"),
        (192, "192"),
        (np.int64(1536), "1 536"),
        (1.23e-5, "1.23e-05"),
        (0.0, "0"),
        (-0.5, "-0.500"),
        (float("nan"), "—"),
        (None, "—"),
    ],
)
def test_digits_are_three(value, written):
    assert quantities.digits(value) == written


def test_counts_sizes_and_shares_carry_their_unit():
    assert quantities.count(22_713_216) == "22.7 M"
    assert quantities.count(840) == "840"
    assert quantities.size(45_426_432) == "45.4 MB"
    assert quantities.percent(0.68) == "68 %"
    assert quantities.percent(0.043) == "4.3 %"
    assert quantities.shape((384, 1536)) == "384 \N{MULTIPLICATION SIGN} 1536"


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0.42, "0.4 s"), (52, "52 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations_are_in_their_largest_units(seconds, written):
    assert quantities.duration(seconds) == written


def test_how_long_ago():
    assert [quantities.ago(s) for s in (3, 250, 7300)] == ["just now", "4 min ago", "2 h ago"]
