"""Opening a model by path or hub id. Only headers are read."""

import re
from dataclasses import replace
from pathlib import Path

from analysis.weights import hub
from analysis.weights.facts import read_config
from analysis.weights.files import read_file, read_folder
from analysis.weights.folders import ADAPTER, is_adapter, weight_files
from analysis.weights.header import BadModel
from analysis.weights.series import steps_in
from analysis.weights.source import Kind, Source

CACHED = re.compile(r"^models--(?:.+--)?(?P<name>.+)$")  # a folder of the hub's cache


def open_model(
    path_or_id: str | Path, *, allow_pickle: bool = False, base: str | Path | None = None
) -> Source:
    """Return a model: a Hugging Face folder, hub id, weights file or folder of checkpoints.

    A folder with a PEFT adapter gives the adapter's updates of its base, which is `base` or the
    model that its configuration names. Any other model with a `base` gives the difference between
    the two. A path that exists comes before a hub id. Raises BadModel, with a sentence that names
    the path and the cure, for whatever cannot be opened.
    """
    text = str(path_or_id).strip()
    if not text:
        raise BadModel("no path was given: give a model's folder, weights file or hub id")
    place, origin = _place(text, isinstance(path_or_id, str), allow_pickle), text
    if place.name.startswith(f"{ADAPTER}."):
        place = place.parent
    try:
        if not place.is_dir():
            found = _file(place, origin, allow_pickle)
        elif is_adapter(place):
            return _adapter(place, origin, base, allow_pickle)
        else:
            found = _folder(place, origin, allow_pickle, base)
    except OSError as error:
        raise _unreadable(text, error) from None
    return found if base is None or found.base is not None else _minus(found, base)


def _place(text: str, may_be_id: bool, allow_pickle: bool) -> Path:
    """Return the resolved file or folder that a path or a hub id means."""
    try:
        path = Path(text).expanduser()
        if path.is_dir():
            return path.resolve()
        if path.exists():
            # Not its target: the hub's cache links to files whose names say nothing.
            return path.parent.resolve() / path.name
    except (OSError, RuntimeError) as error:  # RuntimeError: "~nobody" has no home
        raise _unreadable(text, error) from None
    if may_be_id and hub.looks_like_id(text):
        return hub.fetch(text, allow_pickle=allow_pickle)
    raise BadModel(f"{path} does not exist: check the path")


def _unreadable(text: str, error: Exception) -> BadModel:
    reason = getattr(error, "strerror", None) or str(error)
    where = getattr(error, "filename", None) or text
    return BadModel(f"{str(where)[:300]} cannot be read ({reason}): check the path")


def _adapter(folder: Path, origin: str, base: str | Path | None, allow_pickle: bool) -> Source:
    from analysis.weights.adapters import open_adapter  # both open models

    found = open_adapter(folder, origin, base, allow_pickle=allow_pickle)
    return replace(found, name=_name(folder))


def _minus(tuned: Source, base: str | Path) -> Source:
    from analysis.weights.bases import open_base
    from analysis.weights.pairs import difference

    return difference(tuned, open_base(base, allow_pickle=tuned.allow_pickle))


def _file(path: Path, origin: str, allow_pickle: bool) -> Source:
    stored = tuple(read_file(path, allow_pickle=allow_pickle))
    stem = path.name.split(".")[0]
    name = path.parent.name if stem in {"model", "pytorch_model"} else path.stem
    config = read_config(path.parent)
    return Source(name, path, origin, "state_dict", stored, config, allow_pickle=allow_pickle)


def _folder(folder: Path, origin: str, allow_pickle: bool, base: str | Path | None) -> Source:
    stored = tuple(read_folder(folder, allow_pickle=allow_pickle))
    if not stored:
        return _series(folder, origin, allow_pickle, base)
    config = read_config(folder)
    kind: Kind = "transformers" if config else "state_dict"
    return Source(_name(folder), folder, origin, kind, stored, config, allow_pickle=allow_pickle)


def _series(folder: Path, origin: str, allow_pickle: bool, base: str | Path | None) -> Source:
    steps, notes = steps_in(folder)
    if not steps:
        raise BadModel(_nothing_in(folder))
    newest = open_model(steps[-1].path, allow_pickle=allow_pickle, base=base)
    return replace(
        newest,
        name=_name(folder),
        path=folder,
        origin=origin,
        kind="series" if newest.base is None else newest.kind,
        steps=tuple(steps),
        notes=(*newest.notes, *notes),
    )


def _name(folder: Path) -> str:
    """Return a folder's name; of a snapshot in the hub's cache, its model's."""
    cached = CACHED.match(folder.parent.parent.name) if folder.parent.name == "snapshots" else None
    return cached["name"] if cached else folder.name


def _nothing_in(folder: Path) -> str:
    files = weight_files(folder)
    if files:
        names = ", ".join(path.name for path in files[:3])
        return f"{folder} holds several weights files ({names}, ...): give the path of one"
    inner = [p.name for p in sorted(folder.iterdir()) if p.is_dir() and weight_files(p)]
    if inner:
        return f"{folder} holds no weights itself: open one of its folders ({', '.join(inner[:5])})"
    return f"{folder} holds no weights: it needs a .safetensors file beside its config.json"
