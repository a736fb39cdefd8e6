"""trial.json: what made an exported model, so that it can be made again.

A record names no place of the machine that wrote it: of an absolute path only the last part stays.
"""

import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

FILE = "trial.json"
OWN_VERSION = "0.1.0"  # where the package runs from its folder, uninstalled


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write a record with the versions of what ran. Raises ValueError for NaN and infinity."""
    whole = _placeless(dict(record)) | {"versions": versions()}
    text = json.dumps(whole, indent=2, allow_nan=False)
    (folder / FILE).write_text(f"{text}\n")


def read_record(folder: Path) -> dict[str, Any]:
    """Return what `write_record` wrote into a folder."""
    found: dict[str, Any] = json.loads((folder / FILE).read_text())
    return found


def versions() -> dict[str, str]:
    """Return the versions of rankscope, torch, transformers and Python."""
    return {
        "rankscope": _version("rankscope", OWN_VERSION),
        "torch": _version("torch"),
        "transformers": _version("transformers"),
        "python": platform.python_version(),
    }


def _version(package: str, otherwise: str = "unknown") -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return otherwise


def _placeless(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(_placeless(name)): _placeless(found) for name, found in value.items()}
    if isinstance(value, list | tuple):
        return [_placeless(found) for found in value]
    if isinstance(value, Path):
        return _placeless(str(value))
    return _name_of(value) if isinstance(value, str) else value


def _name_of(text: str) -> str:
    for kind in (PurePosixPath, PureWindowsPath):
        if kind(text).is_absolute():
            return kind(text).name
    return text
