"""Where stages keep their files in the home; without torch.

`compress/KEY` has statistics, factors and evaluations: working files, which are deleted when they
are too many. `trials/KEY` has the weights of a trial, `exports/KEY` a model made for download.
"""

import hashlib
import os
import shutil
from pathlib import Path

import pyarrow as pa

WORKING, TRIALS, EXPORTS = "compress", "trials", "exports"
BEGINNING = 16  # letters of a key that name its folder
WEIGHTS = "factored"
KEPT_IN = {"trial": TRIALS, "export": EXPORTS}
# What is there when a stage is done; these names are those of `analysis/compress/trials/stages.py`.
FILES = {
    "calibrate": ("statistics.safetensors",),
    "factors": ("factors.safetensors", "rows.json"),
    "evaluation": ("evaluation.json",),
    "control": ("control.json",),
    "sensitivity": ("rows.json",),
    "trial": (WEIGHTS,),
    "export": ("*.zip",),
}


def of(home: Path, kind: str, key: str) -> Path:
    """Return the folder of a unit."""
    return home / KEPT_IN.get(kind, WORKING) / key[:BEGINNING]


def complete(home: Path, kind: str, key: str) -> bool:
    """Say whether a unit's files are all there; stages that leave none have them always."""
    folder = of(home, kind, key)
    return all(any(folder.glob(name)) for name in FILES.get(kind, ()))


def use(folder: Path) -> Path:
    """Note that a folder is used now, and return it."""
    if folder.exists():
        os.utime(folder)
    return folder


def used(folder: Path) -> float:
    """Return when a folder was last used."""
    return folder.stat().st_mtime


def size(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    found = (Path(top, name) for top, _, names in os.walk(folder) for name in names)
    return sum(path.lstat().st_size for path in found if path.exists())


def remove(folder: Path) -> None:
    """Delete a folder with all that is in it; one that is gone is fine."""
    if folder.exists():
        shutil.rmtree(folder)


def listed(home: Path, kind: str, key: str) -> pa.Table | None:
    """Return path (relative to the home), sha256 and bytes of each file of a unit; None for none.

    Names that begin with a dot are drafts.
    """
    folder = of(home, kind, key)
    found = sorted(path for name in FILES[kind] for path in folder.glob(name))
    files = [one for path in found for one in (path.rglob("*") if path.is_dir() else [path])]
    rows = [
        {"path": str(file.relative_to(home)), "sha256": _sha256(file), "bytes": file.stat().st_size}
        for file in sorted(files)
        if file.is_file()
    ]
    return pa.Table.from_pylist(rows) if rows else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
