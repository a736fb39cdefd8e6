from typing import Any

import pytest

from jobs.errors import JobError
from jobs.params import inputs, pairs, parse_params


def field(name: str, kind: str, default: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "default": default, "optional": False, **more}


ANALYSIS = {
    "name": "made_up",
    "params": [
        field("seed", "int", 0, min=0),
        field("share", "float", 0.5, min=0.0, max=1.0),
        field("sigma", "float", None, optional=True),
        field("heads", "bool", False, selects=True),
        field("how", "str", "fast", choices=["fast", "slow"]),
        field("cuts", "floats", None, optional=True, min=0.0),
    ],
}


def test_defaults_fill_in_what_is_not_given() -> None:
    assert parse_params(ANALYSIS, {"seed": "3"}) == {
        "seed": 3, "share": 0.5, "sigma": None, "heads": False, "how": "fast", "cuts": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("seed", "7", 7),
        ("seed", 7.0, 7),
        ("share", "1e-2", 0.01),
        ("share", 1, 1.0),
        ("sigma", "none", None),
        ("sigma", None, None),
        ("heads", "yes", True),
        ("heads", "False", False),
        ("heads", True, True),
        ("how", "slow", "slow"),
        ("cuts", "1, 2.5", (1.0, 2.5)),
        ("cuts", [1, 2], (1.0, 2.0)),
    ],
)
def test_values_are_read_from_text_or_taken_as_they_are(name: str, given: Any, value: Any) -> None:
    assert parse_params(ANALYSIS, {name: given})[name] == value


@pytest.mark.parametrize(
    ("name", "given", "sentence"),
    [
        ("seed", "1.5", "parameter 'seed': expected a whole number of at least 0, got '1.5'"),
        ("seed", "-1", "parameter 'seed': expected a whole number of at least 0, got -1"),
        ("seed", "none", "expected a whole number of at least 0, got 'none'"),
        ("seed", True, "expected a whole number"),
        ("share", "2", "expected a number from 0.0 to 1.0, got 2.0"),
        ("share", "nan", "expected a number from 0.0 to 1.0"),
        ("share", "much", "expected a number from 0.0 to 1.0, got 'much'"),
        ("sigma", "x", "expected a number, or none, got 'x'"),
        ("heads", "maybe", "expected true or false, got 'maybe'"),
        ("cuts", "1,-2", "numbers separated by commas of at least 0.0"),
        ("how", "slwo", "did you mean 'slow'?"),
        ("sede", "1", "unknown parameter of made_up 'sede': did you mean 'seed'?"),
    ],
)
def test_what_does_not_fit_is_a_sentence(name: str, given: Any, sentence: str) -> None:
    with pytest.raises(JobError) as raised:
        parse_params(ANALYSIS, {name: given})
    assert sentence in str(raised.value)


def test_parameters_that_select_views_are_no_part_of_the_key() -> None:
    assert "heads" not in inputs(ANALYSIS, parse_params(ANALYSIS, {"heads": "true"}))


def test_pairs_are_split_at_the_first_equals_sign() -> None:
    assert pairs(["a=1", "b = x=y"]) == {"a": "1", "b": "x=y"}
    with pytest.raises(JobError, match="expected key=value"):
        pairs(["seed"])
