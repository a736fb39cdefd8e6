"""Opening a model by path or hub id. Only headers are read."""

import re
from pathlib import Path

from analysis.weights import hub
from analysis.weights.facts import read_config
from analysis.weights.files import check_no_adapter, read_file, read_folder, weight_files
from analysis.weights.header import BadModel
from analysis.weights.series import steps_in
from analysis.weights.source import Kind, Source

CACHED = re.compile(r"^models--(?:.+--)?(?P<name>.+)$")  # a folder of the hub's cache


def open_model(path_or_id: str | Path, *, allow_pickle: bool = False) -> Source:
    """Return a model: a Hugging Face folder, hub id, weights file or folder of checkpoints.

    A path that exists comes before a hub id. Raises BadModel, with a sentence that names the path
    and the cure, for whatever cannot be opened.
    """
    text = str(path_or_id).strip()
    if not text:
        raise BadModel("no path was given: give a model's folder, weights file or hub id")
    try:
        path = Path(text).expanduser()
        if path.is_dir():
            return _folder(path.resolve(), text, allow_pickle)
        if path.exists():
            return _file(path.parent.resolve() / path.name, text, allow_pickle)
    except (OSError, RuntimeError) as error:  # RuntimeError: "~nobody" has no home
        reason = getattr(error, "strerror", None) or str(error)
        where = getattr(error, "filename", None) or text
        raise BadModel(f"{str(where)[:300]} cannot be read ({reason}): check the path") from None
    if isinstance(path_or_id, str) and hub.looks_like_id(text):
        return _folder(hub.fetch(text, allow_pickle=allow_pickle), text, allow_pickle)
    raise BadModel(f"{path} does not exist: check the path")


def _file(path: Path, origin: str, allow_pickle: bool) -> Source:
    if path.name.startswith("adapter_model."):
        check_no_adapter(path.parent)
    stored = tuple(read_file(path, allow_pickle=allow_pickle))
    stem = path.name.split(".")[0]
    name = path.parent.name if stem in {"model", "pytorch_model"} else path.stem
    config = read_config(path.parent)
    return Source(name, path, origin, "state_dict", stored, config, allow_pickle=allow_pickle)


def _folder(folder: Path, origin: str, allow_pickle: bool) -> Source:
    stored = tuple(read_folder(folder, allow_pickle=allow_pickle))
    if not stored:
        return _series(folder, origin, allow_pickle)
    config = read_config(folder)
    kind: Kind = "transformers" if config else "state_dict"
    return Source(_name(folder), folder, origin, kind, stored, config, allow_pickle=allow_pickle)


def _series(folder: Path, origin: str, allow_pickle: bool) -> Source:
    steps, notes = steps_in(folder)
    if not steps:
        raise BadModel(_nothing_in(folder))
    newest = open_model(steps[-1].path, allow_pickle=allow_pickle)
    return Source(
        _name(folder), folder, origin, "series", newest.stored, newest.config,
        tuple(steps), tuple(notes), allow_pickle,
    )  # fmt: skip


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
