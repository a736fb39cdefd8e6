"""The list of compression methods: every module of this folder that calls `register`.

A method is one file holding `Params` and one function from matrices to tensors that serve every
size at once, so that a sweep over sizes decomposes each matrix once. Two kinds:

    sizes="ranks"  f(pieces, params) gives "{layer}.B" (m x K) and "{layer}.A" (K x n) for each
                   piece, nested: B[:, :k] A[:k] is the answer of rank k, and at K = min(m, n) it is
                   W. Ranks are allocated over all layers (`allocation/`), and both storage forms
                   apply.
    sizes="own"    the method knows its sizes: `options(pieces, tensors, params)` lists those that a
                   group can have, and `build(pieces, tensors, option, params)` makes the modules.
                   `least(pieces, params)`, where there is one, gives from shapes alone the numbers
                   of the smallest size and those of the layers it covers when dense, None where
                   the group has no size.

A third kind works on what training added to another model, and has no allocation and no form:

    sizes="update" f(source, params, kept, layers) gives the `lora.Reduced` of an opened adapter or
                   pair: two factors per module, of `params.rank` or, where that is 0, of a share
                   `kept`; whole ones of modules outside of `layers`, where these are given.
                   `updates` names the kinds of source that it takes ("adapter", "delta").

A group is the chosen layers of one block, or those outside of blocks; methods of scope "matrix" see
one layer at a time.
"""

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from analysis import compress
from analysis.registry import FAULTS, AnalysisError

Sizes = Literal["ranks", "own", "update"]
Scope = Literal["matrix", "block"]
Need = Literal["gram", "gradient", "squared"]
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True)
class Option:
    """One size that a group can have under a method of sizes "own"."""

    numbers: int  # parameters that the covered layers then hold
    bytes: int  # beside them: scales, zeros, indices, packed values that are no parameters
    error: float  # ‖W - W'‖² over the covered layers, weighed as the method itself weighs them
    values: tuple[int, ...]  # what `build` is told: ranks, a bond, bits
    words: str  # "ranks 96, 24, 2"
    of_numbers: int = 0  # of the covered layers when dense; 0: every layer of the group is covered


@dataclasses.dataclass(frozen=True)
class Method:
    """What one registered file declares."""

    name: str
    title: str
    params: type
    function: Callable[..., Any]
    sizes: Sizes
    scope: Scope
    needs: tuple[Need, ...]
    version: int
    paper: str
    options: Callable[..., list[Option]] | None = None
    build: Callable[..., dict[str, Any]] | None = None
    least: Callable[..., tuple[int, int] | None] | None = None
    sized: bool = True  # False: a share to keep means nothing to it
    sized_by: str = (
        ""  # the setting that says its size where a share does not, or where it is given
    )
    merged: bool = False  # its result is a dense matrix again, no smaller
    updates: tuple[str, ...] = ()  # kinds of source with an update; (): whole models alone


_registered: dict[str, Method] = {}


def register(
    *,
    title: str,
    paper: str,
    sizes: Sizes = "ranks",
    scope: Scope = "matrix",
    needs: Sequence[Need] = (),
    version: int = 1,
    **more: Any,
) -> Callable[[Function], Function]:
    """Enrol the decorated function under its module's name; the module defines `Params` above it.

    `needs` names what it takes from a calibration. `version` is part of the key of every stored
    result: raise it when the same input would give another answer. Raises ValueError where sizes
    "own" comes without `options` and `build`, "update" without `updates`, or `sized=False` without
    the setting that counts instead.
    """
    if sizes == "own" and not {"options", "build"} <= more.keys():
        raise ValueError(f'expected `options` and `build` with sizes="own", got {sorted(more)}')
    if not more.get("sized", True) and not more.get("sized_by"):
        raise ValueError("expected `sized_by` with sized=False, got none")
    if (sizes == "update") != bool(more.get("updates")):
        raise ValueError(f'expected `updates` with sizes="update" alone, got {sorted(more)}')

    def enrol(function: Function) -> Function:
        name = function.__module__.rpartition(".")[2]
        _registered[name] = Method(
            name=name,
            title=title,
            params=function.__globals__["Params"],
            function=function,
            sizes=sizes,
            scope=scope,
            needs=tuple(needs),
            version=version,
            paper=paper,
            **more,
        )
        return function

    return enrol


def scan() -> tuple[dict[str, Method], dict[str, str]]:
    """Import every module of the folder; return the methods and, by name, what broke."""
    broken = {}
    for module in pkgutil.iter_modules(compress.__path__):
        if module.ispkg or module.name == "registry":
            continue
        try:
            importlib.import_module(f"analysis.compress.{module.name}")
        except FAULTS as error:
            broken[module.name] = f"{type(error).__name__}: {error}"
    whole = {name: found for name, found in _registered.items() if name not in broken}
    return dict(sorted(whole.items())), broken


def find(name: str) -> Method:
    """Return one method, importing its module alone. Raises AnalysisError when there is none."""
    if name not in _registered and name.isidentifier():
        try:
            importlib.import_module(f"analysis.compress.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"analysis.compress.{name}":
                raise
    if name not in _registered:
        known = ", ".join(scan()[0])
        raise AnalysisError(f"no compression method is called {name!r}: there are {known}")
    return _registered[name]


def parse(method: Method, given: Mapping[str, str]) -> Any:
    """Return the method's `Params` from words, as in `rtn:bits=4`. Raises AnalysisError."""
    fields = {field.name: field for field in dataclasses.fields(method.params)}
    values = {}
    for name, text in given.items():
        if name not in fields:
            known = ", ".join(fields) or "none"
            raise AnalysisError(f"{method.name} has no setting {name!r}: it has {known}")
        values[name] = _value(method.name, fields[name], text)
    return method.params(**values)


def _value(method: str, field: "dataclasses.Field[Any]", text: str) -> Any:
    kind: Any = type(field.default)
    try:
        value = text.lower() in ("true", "yes", "1") if kind is bool else kind(text)
    except ValueError:
        raise AnalysisError(
            f"{method}: expected a {kind.__name__} for {field.name}, got {text!r}"
        ) from None
    choices, low, high = (field.metadata.get(word) for word in ("choices", "min", "max"))
    if choices and value not in choices:
        listed = ", ".join(map(str, choices))
        raise AnalysisError(f"{method}: expected {field.name} to be one of {listed}, got {text!r}")
    # Written so that "not a number" is outside of any bounds.
    if not isinstance(value, str) and not (
        (low is None or value >= low) and (high is None or value <= high)
    ):
        raise AnalysisError(f"{method}: {field.name} is {text}, outside of {low} to {high}")
    return value
