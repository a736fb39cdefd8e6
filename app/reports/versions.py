"""Which Rankscope this is, and with which libraries and on what something was computed."""

import importlib.metadata
import json
import tomllib
from collections.abc import Iterable
from pathlib import Path

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def own() -> str:
    """Return this program's version: as installed, or as its folder declares it."""
    try:
        return importlib.metadata.version("rankscope")
    except importlib.metadata.PackageNotFoundError:
        return str(tomllib.loads(PROJECT.read_text())["project"]["version"])


def of_units(stored: Iterable[str]) -> str:
    """Return the libraries that units were computed with, all that there were of each."""
    found: dict[str, set[str]] = {}
    for text in stored:
        for name, version in json.loads(text or "{}").items():
            found.setdefault(name, set()).add(str(version))
    return ", ".join(f"{name} {' and '.join(sorted(v))}" for name, v in sorted(found.items()))
