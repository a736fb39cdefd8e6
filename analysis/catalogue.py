"""The catalogue: what every analysis and every method of compression declares, as plain data.

Imports all of them, so it is made by a program of its own: `python -m analysis`.
"""

import dataclasses
import importlib
import json
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from analysis import registry
from analysis.registry import FAULTS, Analysis, AnalysisError, Array


def describe() -> dict[str, Any]:
    """Return everything the registry declares as JSON-ready data (the catalogue).

    Beside the analyses, the methods of compression and what the stages of a trial leave. What
    breaks in `compress/` is listed as "compress/NAME".
    """
    analyses, broken = registry.scan()
    found = {
        "analyses": _declared(analyses, "", _declaration, broken),
        "methods": {},
        "stages": {},
        "broken": broken,
    }
    try:
        from analysis.compress import registry as methods
        from analysis.compress.trials import stages
    except FAULTS as error:
        broken["compress"] = f"{type(error).__name__}: {error}"
        return found
    whole, unfit = methods.scan()
    broken |= {f"compress/{name}": why for name, why in unfit.items()}
    found["methods"] = _declared(whole, "compress/", _method, broken)
    found["stages"] = {name: _stage(name, row) for name, row in stages.STAGES.items()}
    return found


def _declared(
    found: Mapping[str, Any],
    folder: str,
    declare: Callable[[Any], dict[str, Any]],
    broken: dict[str, str],
) -> dict[str, Any]:
    """Return the declarations, and add to `broken` those that are no JSON."""
    declared = {}
    for name, one in found.items():
        try:
            declaration = declare(one)
            json.dumps(declaration)
            declared[name] = declaration
        except FAULTS as error:
            broken[folder + name] = f"{type(error).__name__}: {error}"
    return declared


def _declaration(declared: Analysis) -> dict[str, Any]:
    return {
        "name": declared.name,
        "title": declared.title,
        "view": declared.view,
        "unit": declared.unit,
        "version": declared.version,
        "predicts": declared.work is not None,
        "by_layer": declared.by_layer and declared.unit != "training",
        **_said(declared.function),
        "params": _fields(declared.params),
        "columns": _fields(declared.row),
    }


def _method(method: Any) -> dict[str, Any]:
    plain = ("name", "title", "sizes", "scope", "version", "paper", "sized", "sized_by", "merged")
    return {
        **{name: getattr(method, name) for name in plain},
        "needs": list(method.needs),
        "updates": list(method.updates),
        **_said(method.function),
        "params": _fields(method.params),
    }


def _stage(name: str, row: type) -> dict[str, Any]:
    summary = (row.__doc__ or "").strip().split("\n")[0]
    return {"name": name, "summary": summary, "columns": _fields(row)}


def _said(function: Callable[..., Any]) -> dict[str, str]:
    """Return what a file says of itself: the function's first line, and the module's text."""
    module = importlib.import_module(function.__module__)
    return {
        "summary": (function.__doc__ or "").strip().split("\n")[0],
        "doc": (module.__doc__ or "").strip(),
    }


def _fields(owner: type) -> list[dict[str, Any]]:
    return [_field(owner, declared) for declared in dataclasses.fields(owner)]


def _field(owner: type, declared: "dataclasses.Field[Any]") -> dict[str, Any]:
    kind, optional = _kind(typing.get_type_hints(owner)[declared.name])
    default = declared.default if declared.default is not dataclasses.MISSING else None
    return {
        "name": declared.name,
        "type": kind,
        "optional": optional,
        "default": default,
        **declared.metadata,
    }


def _kind(annotation: Any) -> tuple[str, bool]:
    """Return the field's type as a word ("float", "int", "bool", "str", "floats", "array")."""
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        [inner] = [a for a in typing.get_args(annotation) if a is not type(None)]
        return _kind(inner)[0], True
    if annotation is Array:
        return "array", False
    if annotation == tuple[float, ...]:
        return "floats", False
    if annotation in (float, int, bool, str):
        return annotation.__name__, False
    raise AnalysisError(
        f"field type {annotation!r}: expected float, int, bool, str, tuple[float, ...] or Array"
    )
