"""Settings and numbers that differ, and those that do not."""

import numpy as np

from jobs.comparison import differing


def test_only_what_differs_is_told_and_all_on_request():
    pair = [{"method": "svd", "kept": 0.9, "seed": 0}, {"method": "svd", "kept": 0.8, "rank": 4}]
    shown = differing.settings(pair)
    assert shown.index.tolist() == ["kept", "seed", "rank"]
    assert shown.loc["kept"].tolist() == [0.9, 0.8]
    assert shown.loc["seed"].tolist() == [0, None]
    assert differing.settings(pair, every=True).index.tolist() == ["method", "kept", "seed", "rank"]


def test_a_whole_number_and_its_text_differ_but_equal_lists_do_not():
    shown = differing.settings([{"a": 1, "b": [1, 2]}, {"a": "1", "b": [1, 2]}])
    assert shown.index.tolist() == ["a"]


def test_nested_settings_become_one_level():
    given = {"spec": {"kept": 0.8, "texts": ["a", "b"]}, "seed": 0}
    assert differing.flat(given) == {"spec.kept": 0.8, "spec.texts": ["a", "b"], "seed": 0}
    assert differing.flat(None) == {}


def test_numbers_differ_by_more_than_the_tolerance_of_the_largest():
    nan = np.nan
    rows = np.array([[100.0, 100.9], [100.0, 101.2], [-2.0, 2.0], [0.0, 0.0], [1.0, nan],
                     [nan, nan], [1e-9, 1.1e-9]])  # fmt: skip
    # 0.9 / 100.9 is below 1 %, 1.2 / 101.2 above it.
    assert differing.numbers(rows, 0.01).tolist() == [False, True, True, False, True, False, True]
    assert differing.numbers(np.empty((0, 2)), 0.01).tolist() == []


def test_four_subjects_differ_as_soon_as_two_do():
    assert differing.numbers(np.array([[1.0, 1.0, 1.0, 1.5]]), 0.1).tolist() == [True]
