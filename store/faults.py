"""DuckDB's errors and the file system's, as sentences that name the file and the cure."""

import json
import re
from pathlib import Path

import duckdb

from store.errors import StoreError, StoreLocked, StoreUnwritable

OWNER = "owner.json"
LOCKED = "Could not set lock on file"
FOREIGN = re.compile(r"not a valid DuckDB database|newer.*version|version number|Serialization")
# The words of the operating system's own messages.
CURES = {
    "No space left on device": "free some space",
    "File too large": "free some space or raise the limit of file size",
    "Disk quota exceeded": "free some space",
    "Permission denied": "make it writable, or set RANKSCOPE_HOME to a folder that is",
    "Operation not permitted": "make it writable, or set RANKSCOPE_HOME to a folder that is",
    "Read-only file system": "set RANKSCOPE_HOME to a folder that can be written",
    "Not a directory": "set RANKSCOPE_HOME to a folder",
    "File exists": "set RANKSCOPE_HOME to a folder, not a file",
}


def described(error: duckdb.Error, database: Path) -> StoreError:
    """Return the error to raise instead of DuckDB's own."""
    text = str(error)
    if LOCKED in text:
        return _locked(text, database)
    if any(words in text for words in CURES):
        return unwritable(database, text)
    if FOREIGN.search(text):
        return StoreError(
            f"{database} is not a database that this version reads: move it away to start "
            f"afresh, or install the version that wrote it ({_first_line(text)})"
        )
    return StoreError(f"{database}: {_first_line(text)}")


def unwritable(path: Path, text: str) -> StoreUnwritable:
    """Return the error for a file that cannot be written, with the cure for `text`'s reason."""
    reason = next((words for words in CURES if words in text), "")
    cure = CURES.get(reason, "check the disk")
    return StoreUnwritable(
        f"{path} cannot be written: {(reason or _first_line(text)).lower()}; {cure} and run the "
        "command again (everything finished before is kept)"
    )


def _locked(text: str, database: Path) -> StoreLocked:
    pid = _owner(database.parent) or _holder(text)
    who = f"process {pid}" if pid else "another process"
    error = StoreLocked(
        f"{database} is in use by {who}: only one process can open it; use the running server, "
        "stop it first, or set RANKSCOPE_HOME to another folder"
    )
    error.pid = pid
    return error


def _owner(home: Path) -> int | None:
    try:
        return int(json.loads((home / OWNER).read_text())["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _holder(text: str) -> int | None:
    found = re.search(r"\(PID (\d+)\)", text)
    return int(found[1]) if found else None


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
