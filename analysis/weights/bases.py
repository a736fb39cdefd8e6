"""Finding the model that an adapter was made for, and its modules by the adapter's names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis import sample
from analysis.weights import hub
from analysis.weights.folders import SAMPLE, name_of_base, path_of_base
from analysis.weights.header import BadModel, Stored
from analysis.weights.names import own
from analysis.weights.source import Source

SAMPLES = (SAMPLE, "sample")  # the second is what commands call it


def find_base(
    folder: Path, config: Mapping[str, Any], base: str | Path | None, *, allow_pickle: bool
) -> Source:
    """Return the base of an adapter: the one given, or the one that its configuration names.

    A name is a path, from the adapter's folder, beside it, or from the working folder; or an id in
    the hub's local cache. Nothing is downloaded for it. Raises BadModel where there is none.
    """
    if base is not None:
        return open_base(base, allow_pickle=allow_pickle)
    named = name_of_base(config)
    if not named:
        raise BadModel(f"{folder} does not name its base model: give it with --base MODEL")
    place = _place(folder, named)
    if place is None:
        raise BadModel(
            f"the base model of {folder} is {named}, which is neither a path from here nor in the "
            "hub's local cache: give it with --base MODEL"
        )
    return open_base(place, allow_pickle=allow_pickle)


def open_base(path: str | Path, *, allow_pickle: bool) -> Source:
    """Open a base model. Raises BadModel where it cannot be opened or is an update itself."""
    from analysis.weights.opening import open_model

    found = open_model(sample.MODEL if str(path) in SAMPLES else path, allow_pickle=allow_pickle)
    if found.base is not None:
        raise BadModel(
            f"{found.path} is itself an adapter, of {found.base.name}: give a whole model with "
            "--base MODEL"
        )
    return found


def _place(folder: Path, named: str) -> Path | None:
    if named == SAMPLE:
        return sample.MODEL
    place = path_of_base(folder, named)
    return hub.cached(named) if place is None and hub.looks_like_id(named) else place


class Modules:
    """The tensors of a base model, found by a module's path or a tensor's name in an adapter.

    A file saved without its model's head lacks the prefix that the adapter knows ("h.0" for
    "transformer.h.0"), or has one that it does not.
    """

    def __init__(self, base: Source) -> None:
        self._stored = {own(tensor.name): tensor for tensor in base.stored}

    def find(self, path: str) -> Stored | None:
        """Return the weight of a module, or the tensor of that name."""
        path = own(path)
        if path in self._stored:
            return self._stored[path]
        inner = [name for name in self._stored if path.endswith(f".{name}")]
        if inner:
            return self._stored[max(inner, key=len)]
        outer = [name for name in self._stored if name.endswith(f".{path}")]
        return self._stored[outer[0]] if len(outer) == 1 else None

    def module_of(self, key: str) -> tuple[str, Stored] | None:
        """Return the longest path at the start of an adapter's key that is a base's module."""
        parts = key.split(".")
        for count in range(len(parts) - 1, 0, -1):
            path = ".".join(parts[:count])
            found = self.find(path)
            if found is not None:
                return path, found
        return None
