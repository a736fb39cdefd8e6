"""The files that were opened, laid out as transformers looks for them.

Transformers takes a folder and chooses its weights by their names. Where a file was opened by
itself, or has a name of its own, it would load others or none.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from analysis.weights.source import Source

SAFE = ("model.safetensors", "model.safetensors.index.json")
CONFIGURED = ("config.json", "generation_config.json")
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")


@contextmanager
def folder_with(source: Source) -> Iterator[Path]:
    """Give a folder from which transformers loads the source's own files: its own, or one of links.

    The links are gone afterwards.
    """
    files = {Path(tensor.file) for tensor in source.stored}
    place = source.path if source.path.is_dir() else source.path.parent
    if _chosen(place, allow_pickle=source.allow_pickle) == files:
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="rankscope-model-") as made:
        for beside in (place / name for name in CONFIGURED if (place / name).is_file()):
            (Path(made) / beside.name).symlink_to(beside.absolute())
        _link(source, sorted(files), Path(made))
        yield Path(made)


def _chosen(folder: Path, *, allow_pickle: bool) -> set[Path]:
    """Return what transformers takes: a single file before shards, safetensors before pickles."""
    for single, index in (SAFE, PICKLED) if allow_pickle else (SAFE,):
        if (folder / single).is_file():
            return {folder / single}
        if (folder / index).is_file():
            homes = json.loads((folder / index).read_bytes())["weight_map"]
            return {folder / home for home in homes.values()}
    return set()


def _link(source: Source, files: list[Path], folder: Path) -> None:
    single, index = SAFE if files[0].suffix == ".safetensors" else PICKLED
    if len(files) == 1:
        (folder / single).symlink_to(files[0].absolute())
        return
    for path in files:
        (folder / path.name).symlink_to(path.absolute())
    homes = {tensor.name: Path(tensor.file).name for tensor in source.stored}
    (folder / index).write_text(json.dumps({"metadata": {}, "weight_map": homes}))
