"""Results that are files: named by their content, complete or absent, listed in `artifact`."""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

from store import faults

FOLDER = "artifacts"


def keep(home: Path, content: bytes, suffix: str) -> dict[str, Any]:
    """Keep a file under its hash; return its path (relative to the home), sha256 and bytes.

    Raises StoreUnwritable.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    path = Path(FOLDER, sha256[:2], sha256 + suffix)
    try:
        if not (home / path).exists():
            _put(home / path, content)
    except OSError as error:
        raise faults.unwritable(home / path, error.strerror or str(error)) from error
    return {"path": str(path), "sha256": sha256, "bytes": len(content)}


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink()
            raise
