"""Which files of a folder hold a model's weights, and the headers of all of them."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from analysis.weights.folders import ADAPTER, PICKLES, weight_files
from analysis.weights.header import BadModel, Stored, read_header

SHARD = re.compile(r"-(\d{5})-of-(\d{5})$")
# Suffixes, and the file and index that Hugging Face's tools write.
LAYOUTS = (
    ({".safetensors"}, "model.safetensors", "*.safetensors.index.json"),
    (PICKLES, "pytorch_model.bin", "pytorch_model.bin.index.json"),
)


def read_file(path: Path, *, allow_pickle: bool = False) -> list[Stored]:
    """Return the tensors of one weights file, or of all shards when it is an index.

    Raises BadModel for anything else, and for a pickle that is not allowed.
    """
    if path.name.endswith(".index.json"):
        return _indexed(path, allow_pickle)
    shard = SHARD.search(path.stem)
    if shard:
        raise BadModel(f"{path} is one of {int(shard[2])} shards: open its folder instead")
    return _one(path, allow_pickle)


def read_folder(folder: Path, *, allow_pickle: bool = False) -> list[Stored]:
    """Return the tensors of a folder that holds one model, [] when it holds none or several.

    Safetensors come before pickles, and a single file before shards. Raises BadModel for a missing
    shard and what the files themselves raise.
    """
    for suffixes, single, index in LAYOUTS:
        files = weight_files(folder, suffixes)
        if folder / single in files or (len(files) == 1 and not SHARD.search(files[0].stem)):
            return _one(folder / single if folder / single in files else files[0], allow_pickle)
        for found in sorted(folder.glob(index)):
            return _indexed(found, allow_pickle)
        if files:
            sharded = all(SHARD.search(path.stem) for path in files)
            return _shards(files, allow_pickle) if sharded else []
    return []


def adapter_file(folder: Path) -> Path:
    """Return the weights file of an adapter's folder. Raises BadModel where it has none."""
    for suffix in (".safetensors", ".bin"):
        if (folder / f"{ADAPTER}{suffix}").exists():
            return folder / f"{ADAPTER}{suffix}"
    raise BadModel(f"{folder} has an adapter's configuration and no {ADAPTER}.safetensors: copy it")


def _one(path: Path, allow_pickle: bool) -> list[Stored]:
    return _reader(path, allow_pickle)(path)


def _reader(path: Path, allow_pickle: bool) -> Callable[[Path], list[Stored]]:
    if path.suffix == ".safetensors":
        return read_header
    if path.suffix not in PICKLES:
        raise BadModel(f"{path} is no weights file: give a .safetensors file or a model's folder")
    if not allow_pickle:
        raise BadModel(
            f"{path} is a pickle, which can run code when it is opened: convert it to safetensors, "
            "or allow it with --allow-pickle (only its tensors are then read, with weights_only)"
        )
    from analysis.weights.pickles import pickle_header  # torch is needed from here on

    return pickle_header


def _indexed(index: Path, allow_pickle: bool) -> list[Stored]:
    try:
        homes = json.loads(index.read_bytes())["weight_map"]
        shards = sorted({str(home) for home in homes.values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise BadModel(f"{index} is no index of shards: copy or download it again") from None
    # An index must not reach out of its folder.
    if any(Path(shard).name != shard for shard in shards):
        raise BadModel(f"{index} names files outside its folder: download the model again")
    for shard in shards:
        if not (index.parent / shard).is_file():
            raise BadModel(
                f"{index.parent / shard} is missing (one of {len(shards)} shards): "
                "copy or download it again"
            )
    found = [t for shard in shards for t in _one(index.parent / shard, allow_pickle)]
    missing = sorted(set(homes) - {tensor.name for tensor in found})
    if missing:
        raise BadModel(
            f"{index} lists {missing[0]}, which {homes[missing[0]]} does not hold: "
            "download both again"
        )
    return [t for t in found if homes.get(t.name, Path(t.file).name) == Path(t.file).name]


def _shards(files: list[Path], allow_pickle: bool) -> list[Stored]:
    """Read numbered shards that have lost their index."""
    first = SHARD.search(files[0].stem)
    assert first is not None
    count, stem = int(first[2]), files[0].stem[: first.start()]
    for i in range(1, count + 1):
        name = f"{stem}-{i:05}-of-{count:05}{files[0].suffix}"
        if files[0].with_name(name) not in files:
            raise BadModel(
                f"{files[0].with_name(name)} is missing (one of {count} shards): "
                "copy or download it again"
            )
    return [tensor for path in files for tensor in _one(path, allow_pickle)]
