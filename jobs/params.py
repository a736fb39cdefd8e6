"""Parameters as a user gives them, checked against what the analysis declares."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from jobs import suggest
from jobs.errors import JobError

NOTHING = {"", "none", "null"}
TRUTH = {"true": True, "yes": True, "1": True, "on": True}
FALSEHOOD = {"false": False, "no": False, "0": False, "off": False}


def parse_params(analysis: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return every parameter of the declared analysis: the given ones checked, else the default.

    Values may be text or already of their type. Raises JobError naming parameter, value and what
    was expected.
    """
    declared = {field["name"]: field for field in analysis["params"]}
    for name in given:
        if name not in declared:
            raise suggest.unknown(f"parameter of {analysis['name']}", name, declared)
    return {
        name: _value(field, given[name]) if name in given else field["default"]
        for name, field in declared.items()
    }


def pairs(texts: list[str]) -> dict[str, str]:
    """Return `["key=value", ...]` as a dictionary. Raises JobError for one without `=`."""
    found = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise JobError(f"--set {text!r}: expected key=value, such as --set seed=1")
        found[name.strip()] = value.strip()
    return found


def inputs(analysis: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that reach the numbers: those that only select views are left out."""
    selects = {field["name"] for field in analysis["params"] if field.get("selects")}
    return {name: value for name, value in params.items() if name not in selects}


def reads(analysis: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the parameters that name a file to read."""
    return tuple(field["name"] for field in analysis["params"] if field.get("reads"))


def _value(field: Mapping[str, Any], given: Any) -> Any:
    # A parameter may have "none" among its choices, as a word like any other.
    chosen = given in (field.get("choices") or ())
    if given is None or (isinstance(given, str) and given.lower() in NOTHING and not chosen):
        if field["optional"]:
            return None
        raise _expected(field, given)
    value = _converted(field, given)
    _check_bounds(field, value)
    return value


def _converted(field: Mapping[str, Any], given: Any) -> Any:
    try:
        return _CONVERSIONS[field["type"]](given)
    except (ValueError, KeyError, TypeError) as error:
        raise _expected(field, given) from error


def _check_bounds(field: Mapping[str, Any], value: Any) -> None:
    choices = field.get("choices")
    if choices and value not in choices:
        raise suggest.unknown(f"{field['name']}", str(value), map(str, choices))
    values = value if isinstance(value, tuple) else (value,)
    low, high = field.get("min"), field.get("max")
    for number in values:
        if isinstance(number, bool | str):
            continue
        # Written so that "not a number" is outside of any bounds.
        if not ((low is None or number >= low) and (high is None or number <= high)):
            raise _expected(field, value)


def _expected(field: Mapping[str, Any], given: Any) -> JobError:
    words = {"bool": "true or false", "floats": "numbers separated by commas", "str": "a text"}
    expected = words.get(
        field["type"],
        {"int": "a whole number", "float": "a number"}.get(field["type"], field["type"]),
    )
    low, high = field.get("min"), field.get("max")
    if low is not None and high is not None:
        expected += f" from {low} to {high}"
    elif low is not None:
        expected += f" of at least {low}"
    elif high is not None:
        expected += f" of at most {high}"
    if field["optional"]:
        expected += ", or none"
    return JobError(f"parameter {field['name']!r}: expected {expected}, got {given!r}")


def _bool(given: Any) -> bool:
    return given if isinstance(given, bool) else {**TRUTH, **FALSEHOOD}[str(given).lower()]


def _int(given: Any) -> int:
    if isinstance(given, bool) or (isinstance(given, float) and not given.is_integer()):
        raise ValueError(given)
    return int(given)


def _float(given: Any) -> float:
    if isinstance(given, bool):
        raise ValueError(given)
    number = float(given)
    if number != number:
        raise ValueError(given)
    return number


def _floats(given: Any) -> tuple[float, ...]:
    parts = json.loads(f"[{given}]") if isinstance(given, str) else given
    return tuple(_float(part) for part in parts)


_CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "int": _int,
    "float": _float,
    "bool": _bool,
    "str": str,
    "floats": _floats,
}
