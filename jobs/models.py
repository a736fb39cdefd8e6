"""Registering models: opening their headers, what a page may open, and the names they get."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from jobs import bases, suggest
from jobs import home as places
from jobs.catalog import package_folder
from jobs.engine import Engine
from jobs.errors import JobError
from jobs.proxy import StoreProxy, plain_errors

SAMPLE = "sample"


class Models:
    """The models that a home knows: added, found by what a user calls them, forgotten."""

    def __init__(self, engine: Engine, roots: list[Path]) -> None:
        self.store: Any = StoreProxy(engine.store)
        self._engine = engine
        self._roots = roots

    def inspect(
        self, path: str, restrict_to_roots: bool = True, base: str | None = None
    ) -> dict[str, Any]:
        """Return a model's header and tensors (a frame) before it is added."""
        found = self._describe(path, base, restrict_to_roots=restrict_to_roots)
        return {"header": found["model"], "tensors": found["tensors"].to_pandas()}

    def add_model(
        self,
        path: str,
        name: str | None = None,
        base: str | None = None,
        *,
        restrict_to_roots: bool = False,
        allow_pickle: bool = False,
    ) -> str:
        """Register what lies at a path or hub id and return its name.

        With a `base`, a registered name, path or id, it is registered as what it changes in that.
        """
        path = path.strip()
        if name == SAMPLE and path != SAMPLE:
            raise JobError(
                f"the name {SAMPLE!r} is reserved for the bundled model: give {path} another name"
            )
        found = self._describe(
            path, base, restrict_to_roots=restrict_to_roots, allow_pickle=allow_pickle
        )
        model = found["model"]
        own = SAMPLE if path == SAMPLE else _free_name(self.store.models(), model)
        model["name"] = name or own
        with plain_errors():
            if model["name"] == SAMPLE and path == SAMPLE:
                self._forget_moved_sample(model["path"])
            self._engine.store.add_model(model, found["tensors"])
            self._engine.store.add_labels(model["name"], found["labels"])
        return str(model["name"])

    def remove_model(self, name: str) -> None:
        """Forget a model; its jobs and results stay. Raises JobError while a job of it runs."""
        names = list(self.store.models()["name"])
        if name not in names:
            raise suggest.unknown("model", name, names, "`models list` lists them")
        with plain_errors():
            self._engine.store.remove_model(name)

    def resolve(
        self, text: str, *, allow_pickle: bool = False, restrict_to_roots: bool = False
    ) -> str:
        """Return the name of the model meant by a name, `sample`, a path or a hub id.

        What is not registered yet is registered first. Raises JobError with the nearest name.
        """
        models = self.store.models()
        names = list(models["name"])
        if text in names:
            return text
        path = Path(text).expanduser()
        if (
            text == SAMPLE
            or path.exists()
            or ("/" in text and not text.startswith(("/", ".", "~")))
        ):
            known = _known_as(models, path.resolve())
            return known or self.add_model(
                text, allow_pickle=allow_pickle, restrict_to_roots=restrict_to_roots
            )
        if os.sep in text:
            raise JobError(f"{text} does not exist: check the path")
        raise suggest.unknown("model", text, [*names, SAMPLE], "`models add PATH` adds one")

    def _describe(
        self, path: str, base: str | None, *, restrict_to_roots: bool, allow_pickle: bool = False
    ) -> dict[str, Any]:
        path = path.strip()  # as the opening does: what is checked is what is opened
        base = _base_of(self.store.models(), base)
        roots = self._roots if restrict_to_roots else None
        return _describe(self._engine, path, base, roots=roots, allow_pickle=allow_pickle)

    def _forget_moved_sample(self, path: str) -> None:
        """Let a checkout that moved register its own sample; results stay, by their content."""
        models = self.store.models()
        old = models[(models["name"] == SAMPLE) & (models["path"] != path)]
        if len(old):
            self._engine.store.remove_model(SAMPLE)


def _describe(
    engine: Any, path: str, base: str | None, *, roots: Sequence[Path] | None, allow_pickle: bool
) -> dict[str, Any]:
    """Return a model's header, tensors, labels and files.

    With `roots` every file of it, and of its base, must lie under them; what the caller names, or
    an adapter's configuration, is refused before a byte of it is read. Raises JobError.
    """
    allowed = [*(roots or ()), _bundled()]
    if roots is not None:
        # Without this, a path that is a typing error would be asked of the hub.
        named = [Path(given).expanduser() for given in (path, base) if given and given != SAMPLE]
        places.check_allowed([p for p in named if p.exists() or p.is_absolute()], allowed)
        if base is None and (own := bases.named(_whole(path))):
            places.check_allowed([own], allowed)
    with plain_errors():
        found: dict[str, Any] = engine.describe(_whole(path), allow_pickle, base and _whole(base))
    if roots is not None:
        places.check_allowed(found["files"], allowed)
    return found


def _whole(path: str) -> str:
    """Return a path of this process' folder as any other process knows it, and ids as they are."""
    local = Path(path).expanduser()
    return str(local.absolute()) if path != SAMPLE and local.exists() else path


def _bundled() -> Path:
    """Return the folder of the sample and its adapter, which every page may open."""
    return (package_folder() / SAMPLE).resolve()


def _base_of(models: pd.DataFrame, base: str | None) -> str | None:
    """Return the path of a base that is given as a registered name, a path or an id."""
    if not base or not base.strip():
        return None
    named = models[models["name"] == base.strip()]["path"]
    return str(named.iloc[0]) if len(named) else base.strip()


def _free_name(models: pd.DataFrame, model: Mapping[str, Any]) -> str:
    """Return the model's own name, with a number where another model or the sample has it."""
    taken = {name: identity for name, *identity in _identities(models)}
    own = [model["path"], model["base"]]
    name, number = str(model["name"]), 1
    while name == SAMPLE or taken.get(name, own) != own:
        number += 1
        name = f"{model['name']}-{number}"
    return name


def _known_as(models: pd.DataFrame, path: Path) -> str | None:
    """Return the name of the model at a path, that without a base first; None where none is."""
    found = [(base is not None, name) for name, at, base in _identities(models) if at == str(path)]
    return min(found)[1] if found else None


def _identities(models: pd.DataFrame) -> list[tuple[str, str, str | None]]:
    rows = models[["name", "path", "base"]].to_dict("records")
    return [(r["name"], r["path"], r["base"] if isinstance(r["base"], str) else None) for r in rows]
