"""The trials that a sweep's words mean."""

import json

import pytest

from analysis.compress.trials.specs import Spec, expand, shares
from analysis.registry import AnalysisError
from analysis.trial import Params


def specs(**settings):
    return expand(Params(**settings))


def test_every_method_at_every_size_by_every_rule_in_every_form():
    found = specs(
        methods="svd, whitened_svd", kept="0.6, 90 %, 0.6", allocations="greedy,uniform",
        forms="two_factor, row-interpolative",
    )  # fmt: skip
    assert len(found) == len(set(map(str, found))) == 2 * 2 * 2 * 2
    assert {(s.method, s.kept, s.allocation, s.form) for s in found} == {
        (method, kept, rule, form)
        for method in ("svd", "whitened_svd")
        for kept in (0.6, 0.9)
        for rule in ("greedy", "uniform")
        for form in ("two_factor", "row_interpolative")
    }
    assert len({spec.label for spec in found}) == len(found)
    # The largest first, so that the first trial of a sweep says whether it works at all.
    assert [spec.kept for spec in found[:2]] == [0.9, 0.6]


def test_what_means_nothing_to_a_method_makes_no_trials():
    many = {"allocations": "greedy, uniform", "forms": "two_factor, row_interpolative"}
    own = specs(methods="mpo, tucker", kept="0.9, 0.8", **many)
    assert [(s.method, s.kept, s.allocation, s.form) for s in own] == [
        (method, kept, "", "") for method in ("mpo", "tucker") for kept in (0.9, 0.8)
    ]
    [rounded, laser] = specs(methods="rtn:bits=3, laser:rank_share=0.2", kept="0.9, 0.8", **many)
    assert rounded == Spec("rtn", {"bits": "3"})
    assert laser.full_name == laser.label == "laser:rank_share=0.2"
    welore = specs(methods="welore", kept="0.8", **many)
    assert {(s.allocation, s.form) for s in welore} == {
        ("welore", "two_factor"),
        ("welore", "row_interpolative"),
    }


def test_the_same_trial_twice_is_one():
    assert len(specs(methods="svd, svd", kept="0.8, 80%", allocations="greedy, greedy")) == 1


def test_ranks_by_hand_replace_rules_and_sizes():
    [spec] = specs(methods="svd", kept="0.9, 0.8", ranks='{"blocks.0.q": 12}')
    assert (spec.allocation, spec.ranks, spec.kept) == ("by_hand", {"blocks.0.q": 12}, None)
    assert spec.label == "svd, by hand, two factor"
    with pytest.raises(AnalysisError, match="by_hand needs ranks"):
        specs(allocations="by_hand")


@pytest.mark.parametrize(
    "ranks", ["[1]", "{", '{"q": 1.5}', '{"q": "3"}', '{"q": -1}', '{"q": null}']
)
def test_ranks_that_are_none_are_refused(ranks):
    with pytest.raises(AnalysisError, match="ranks: expected"):
        specs(ranks=ranks)


def test_a_compensation_goes_with_all_of_them():
    found = specs(methods="svd, rtn", kept="0.8", compensation="eora", compensation_rank=8)
    assert [(s.compensation, s.compensation_rank) for s in found] == [("eora", 8)] * 2
    assert found[1].label == "rtn, + eora rank 8"
    plain = specs(methods="rtn", compensation_rank=8)  # whose rank then says nothing
    assert plain == [Spec("rtn")]


def test_settings_are_the_names_of_a_method():
    [spec] = specs(methods=" rtn : group=32 : bits=4 ")
    assert spec.full_name == "rtn:bits=4:group=32"
    method, params = spec.parsed()
    assert (method.name, params.bits, params.group) == ("rtn", 4, 32)
    assert Spec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"methods": "svdd"}, "no compression method is called 'svdd'"),
        ({"methods": "rtn:bits"}, "expected settings such as rtn:bits=4"),
        ({"methods": "rtn:bits=5"}, "expected bits to be one of 8, 4, 3"),
        ({"methods": "rtn:bit=4"}, "rtn has no setting 'bit'"),
        ({"methods": " , "}, "no method was given"),
        ({"kept": "1.2"}, "kept '1.2': expected shares"),
        ({"kept": "0"}, "kept '0': expected shares"),
        ({"kept": "1e-9"}, "kept '1e-9': expected shares"),
        ({"kept": "nan"}, "kept 'nan': expected shares"),
        ({"kept": "a lot"}, "kept 'a lot': expected shares"),
        ({"kept": ""}, "no size was given"),
        ({"allocations": "best"}, "'best' is not an allocation"),
        ({"allocations": ""}, "give an allocation"),
        ({"forms": "three_factor"}, "'three_factor' is not a storage form"),
    ],
)
def test_words_that_are_not_understood_are_named(settings, said):
    with pytest.raises(AnalysisError, match=said):
        specs(**settings)


def test_shares_are_exact_and_descending():
    assert shares("0.1, 33.3 %, 1, 100%") == [1.0, 0.333, 0.1]
