"""Hashes of tensors' bytes, remembered for as long as the file has its size and time."""

import pyarrow as pa

from store import arrow
from store.connection import Cursor


def remember_tensor(
    cursor: Cursor, path: str, size: int, mtime_ns: int, tensor: str, sha256: str
) -> None:
    """Keep the hash of a tensor's bytes; a changed file's replaces the former."""
    row = {"path": path, "tensor": tensor, "size": size, "mtime_ns": mtime_ns, "sha256": sha256}
    arrow.add_or_update(cursor, "fingerprint", arrow.row(row), key=["path", "tensor"])


def recall_tensors(cursor: Cursor, path: str, size: int, mtime_ns: int) -> pa.Table:
    """Return the hashes (tensor, sha256) that hold for this state of the file."""
    return arrow.select(
        cursor,
        """select tensor, sha256 from fingerprint
        where path = $path and size = $size and mtime_ns = $mtime_ns order by tensor""",
        path=str(path),
        size=size,
        mtime_ns=mtime_ns,
    )
