import numpy as np
import pandas as pd
import pytest

from app.plots import metric
from app.plots.metric import Metric

RANK = Metric("stable_rank", "Stable rank", "", "rank")
PROFILE = pd.DataFrame({
    "rows": [8, 4], "cols": [6, 10], "stable_rank": [3.0, None], "stable_rank_vs_noise": [0.5, None]
})  # fmt: skip


def test_only_declared_numbers_that_are_there_are_offered():
    declared = [
        {"name": "gap", "type": "float", "kind": "ratio"},
        {"name": "stable_rank", "type": "float", "kind": "rank", "title": "stable rank"},
        {"name": "stable_rank_vs_noise", "type": "float", "kind": "ratio"},
        {"name": "warning", "type": "str", "kind": "note"},
        {"name": "not_there", "type": "int", "kind": "rank"},
    ]
    found = metric.metrics(declared, ["gap", "stable_rank", "stable_rank_vs_noise", "warning"])
    assert list(found) == ["stable_rank", "gap"]
    assert found["stable_rank"].title == "Stable rank"


def test_the_scale_of_noise_comes_first_where_it_is_stored():
    assert metric.scales(RANK, PROFILE.columns) == ["noise", "full", "absolute"]
    assert metric.scales(RANK, ["stable_rank"]) == ["full", "absolute"]
    assert metric.scales(Metric("alpha", "", "", "exponent"), ["alpha"]) == ["absolute"]


@pytest.mark.parametrize(("scale", "first"), [("absolute", 3.0), ("full", 0.5), ("noise", 0.5)])
def test_values_on_each_scale(scale, first):
    found = metric.values(PROFILE, RANK, scale)
    assert found[0] == first
    assert np.isnan(found[1])


def test_a_value_is_written_in_the_digits_of_its_scale():
    assert metric.written(0.8712, "noise") == "0.87"
    assert metric.written(0.68, "full") == "68 %"
    assert metric.written(278.3, "absolute") == "278"


def test_only_ranks_are_said_to_grow_with_the_matrix():
    assert "larger matrices" in metric.sentence(RANK, "absolute")
    for kind in ("exponent", "ratio", "norm", "count"):
        assert "matrices" not in metric.sentence(Metric("x", "X", "", kind), "absolute")


def test_a_difference_names_its_scale_and_its_sides():
    said = metric.difference_sentence(RANK, "noise", ("a", "b"))
    assert "a minus b, of ratios to noise" in said
    assert "shares of full rank" in metric.difference_sentence(RANK, "full", ("a", "b"))


def test_near_twins_of_weightwatcher_say_whose_they_are():
    assert metric.title_of({"name": "matrix_rank", "title": "matrix rank"}) == "WW matrix rank"
    assert metric.title_of({"name": "numerical_rank"}) == "Numerical rank"
