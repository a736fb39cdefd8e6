"""The checkpoints of a training run: where they are kept, and what there is of them."""

import hashlib
from pathlib import Path

import pyarrow as pa

from jobs.home import RUNS

CHECKPOINT = "step_*/model.safetensors"


def folder(home: Path, unit: str) -> Path:
    """Return where a unit's run keeps its checkpoints, and finds them again when it is resumed."""
    return home / RUNS / unit[:16]


def found(home: Path, unit: str) -> list[Path]:
    """Return the checkpoints that a run has written, in the order of their steps' names."""
    return sorted(folder(home, unit).glob(CHECKPOINT))


def listed(home: Path, unit: str) -> pa.Table | None:
    """Return path (relative to the home), sha256 and bytes of each checkpoint; None for none."""
    rows = [
        {"path": str(path.relative_to(home)), "sha256": _sha256(path), "bytes": path.stat().st_size}
        for path in found(home, unit)
    ]
    return pa.Table.from_pylist(rows) if rows else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
