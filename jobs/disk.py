"""The files that compression leaves in a home: how many they are, and deleting them.

Working files (statistics, factors, evaluations) can be made again: beyond RANKSCOPE_WORK_GB, those
that were not used for longest are deleted when a job ends.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pandas as pd

from jobs.errors import JobError
from jobs.trials import folders

LIMIT = 20.0  # GB of working files
VARIABLE = "RANKSCOPE_WORK_GB"
WHAT = {
    folders.WORKING: "working files",
    folders.TRIALS: "weights of a trial",
    folders.EXPORTS: "export",
}
COLUMNS = ("what", "key", "label", "bytes", "used", "trial")


def usage(home: Path) -> pd.DataFrame:
    """Return what is kept: what, key, label, bytes, and when it was used, the newest first.

    Keys are the first letters of those of units; labels, and the trial that an export is of, are
    for those who know the store.
    """
    found = [
        (what, folder.name, "", folders.size(folder), used, "")
        for what, folder, used in _kept(home)
    ]
    frame = pd.DataFrame(found, columns=list(COLUMNS))
    return frame.sort_values("used", ascending=False, ignore_index=True)


def with_exports(found: pd.DataFrame, keys: Collection[str]) -> list[str]:
    """Return these keys and those of the exports that were made of them, where they are trials.

    `found` is what is kept, with names. An export goes with the weights that it was made of.
    """
    names = _names(keys)
    made = found[found["trial"].str[: folders.BEGINNING].isin(names)]
    return [*keys, *(key for key in made["key"] if key[: folders.BEGINNING] not in names)]


def free(home: Path, keys: Collection[str], active: Collection[str] = ()) -> int:
    """Delete what is kept under some keys, whole or cut short; return how many bytes that was.

    Raises JobError for a key that is not there, and for one that a running job reads.
    """
    there = {folder.name: folder for _, folder, _ in _kept(home)}
    in_use = _names(active)
    names = _names(keys)
    for name in sorted(names):
        if name not in there:
            raise JobError(f"nothing is kept under {name!r}: `python -m jobs disk` lists the keys")
        if name in in_use:
            raise JobError(f"{name} is read by a job that runs: cancel it, or wait until it ends")
    freed = sum(folders.size(there[name]) for name in names)
    for name in names:
        folders.remove(there[name])
    return freed


def idle(home: Path, active: Collection[str]) -> list[str]:
    """Return the keys of working files that no running job reads."""
    found = [folder.name for _, folder, _ in _kept(home, (folders.WORKING,))]
    return [name for name in found if name not in _names(active)]


def trim(home: Path, active: Collection[str], limit: float | None = None) -> list[str]:
    """Delete working files beyond the limit (bytes), the least recently used first.

    Never those of `active` units. Returns the keys of what was deleted.
    """
    most = cap() if limit is None else limit
    spared = _names(active)
    found = [(used, folder) for _, folder, used in _kept(home, (folders.WORKING,))]
    sizes = {folder: folders.size(folder) for _, folder in found}
    total, removed = sum(sizes.values()), []
    for _, folder in sorted(found):
        if total <= most:
            break
        if folder.name not in spared:
            folders.remove(folder)
            total -= sizes[folder]
            removed.append(folder.name)
    return removed


def cap(environ: Mapping[str, str] = os.environ) -> float:
    """Return the bytes of working files that are kept. Raises JobError for no number."""
    given = environ.get(VARIABLE) or str(LIMIT)
    try:
        value = float(given)
    except ValueError:
        value = -1.0
    if not value >= 0:
        raise JobError(f"{VARIABLE} is {given!r}: expected a number of GB, such as 20")
    return value * 1e9


def _names(keys: Collection[str]) -> set[str]:
    return {key[: folders.BEGINNING] for key in keys}


def _kept(home: Path, tops: Collection[str] = tuple(WHAT)) -> Iterator[tuple[str, Path, float]]:
    """Give what it is, the folder, and when it was used."""
    for top in tops:
        for folder in sorted((home / top).glob("*")):
            if folder.is_dir():
                yield WHAT[top], folder, folders.used(folder)
