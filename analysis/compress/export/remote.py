"""The modeling file of a factored export: all that transformers needs to run it.

It holds the source of the forms that the model has, and two classes: the configuration under a type
of its own, so that no loader takes the factors for missing weights of the plain model, and the
model, which is transformers' own class with the forms put in place.
"""

import ast
import importlib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from analysis.compress import forms
from analysis.compress.export.placing import place

MODULE = "modeling_rankscope"
PREFIX = "rankscope_"
CONFIG = "RankscopeConfig"

HEADER = '''"""A {base} whose linear layers are kept in smaller forms. Written by rankscope.

    {auto}.from_pretrained(FOLDER, trust_remote_code=True)
"""

{imports}

from transformers import {config}, {base}

'''
CLASSES = '''
class {own_config}({config}):
    """The configuration of the dense model; `rankscope` says which layers have which form."""

    model_type = "{model_type}"


class {own}({base}):
    """The dense model's class with the forms in place of its layers."""

    config_class = {own_config}

    def __init__(self, config, *args, **kwargs):
        super().__init__(config, *args, **kwargs)
        place(self, config.rankscope["forms"])
'''


def modeling_file(base: type, auto: str, specs: Mapping[str, Any]) -> str:
    """Return the source of the modeling file; `auto` is the Auto class that loads the model."""
    sources = [_source(name) for name in modules_for(kinds_in(specs.values()))]
    names = {
        "auto": auto,
        "base": base.__name__,
        "config": _config_class(base).__name__,
        "own": class_name(base.__name__),
        "own_config": CONFIG,
        "model_type": model_type(_config_class(base).model_type),
        "imports": "\n".join(_imports(sources)),
    }
    body = "\n\n\n".join([*map(_without_imports, sources), inspect.getsource(place).strip()])
    return HEADER.format(**names) + body + "\n\n" + CLASSES.format(**names)


def class_name(base: str) -> str:
    """Return the name of the exported class: the ending of transformers' own stays."""
    return f"Rankscope{base}"


def model_type(base: str) -> str:
    """Return the type under which a configuration is known to the modeling file alone."""
    return f"{PREFIX}{base}"


def kinds_in(specs: Iterable[Any]) -> set[str]:
    """Return the kinds of forms that specs describe, also inside of one another."""
    found = set()
    for spec in specs:
        if isinstance(spec, Mapping):
            found |= {spec["kind"]} & forms.KINDS.keys() if "kind" in spec else set()
            found |= kinds_in(spec.values())
        elif isinstance(spec, list):
            found |= kinds_in(spec)
    return found


def modules_for(kinds: Iterable[str]) -> list[str]:
    """Return the modules of forms that these kinds need, in an order in which they can stand."""
    wanted = {"base"} | {forms.KINDS[kind].__module__.rpartition(".")[2] for kind in kinds}
    while more := {used for name in wanted for used in _used(name)} - wanted:
        wanted |= more
    return [name for name in forms.SOURCES if name in wanted]


def _source(name: str) -> str:
    return inspect.getsource(importlib.import_module(f"{forms.__name__}.{name}"))


def _used(name: str) -> list[str]:
    tree = ast.parse(_source(name)).body
    found = [part.module or "" for part in tree if isinstance(part, ast.ImportFrom)]
    return [module.rpartition(".")[2] for module in found if module.startswith(forms.__name__)]


def _imports(sources: Iterable[str]) -> list[str]:
    """Return each import of the modules once, but for those of one another."""
    plain = set[str]()
    named = {"collections.abc": {"Mapping"}, "typing": {"Any"}}  # those of `place`
    for part in (part for source in sources for part in ast.parse(source).body):
        if isinstance(part, ast.Import):
            plain |= {f"import {name.name}" for name in part.names}
        elif isinstance(part, ast.ImportFrom) and not (part.module or "").startswith("analysis."):
            named.setdefault(part.module or "", set()).update(name.name for name in part.names)
    joined = [f"from {module} import {', '.join(sorted(names))}" for module, names in named.items()]
    return [*sorted(plain), *sorted(joined)]


def _without_imports(source: str) -> str:
    """Return a module's text without its docstring and its imports."""
    lines, dropped = source.splitlines(), set[int]()
    tree = ast.parse(source)
    described = ast.get_docstring(tree) is not None
    for i, part in enumerate(tree.body):
        if isinstance(part, ast.Import | ast.ImportFrom) or (described and i == 0):
            dropped |= set(range(part.lineno - 1, part.end_lineno or part.lineno))
    return "\n".join(line for i, line in enumerate(lines) if i not in dropped).strip()


def _config_class(base: Any) -> Any:
    return base.config_class
