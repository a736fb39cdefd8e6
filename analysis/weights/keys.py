"""Content keys: equal stored bytes, seen in the same way, are the same matrix."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch

from analysis.weights.folders import PICKLES
from analysis.weights.header import BadModel, read_header
from analysis.weights.pickles import read_pickle
from analysis.weights.refs import MatrixRef
from analysis.weights.updates import digest

BLOCK = 1 << 24  # bytes read at a time


def fingerprint(ref: MatrixRef) -> str:
    """Return the sha256 of a tensor's stored bytes: of all of it, whatever the view.

    The bytes are streamed from the file at the header's offsets. It depends on neither the file
    nor the place in it, and is the same for a pickle, in row-major order. An update's is that of
    the fingerprints of all its parts, in their order.
    """
    if ref.update is None:
        return _sha256(ref.file, ref.tensor)
    return digest([_sha256(part.file, part.tensor) for part in ref.update.parts])


def matrix_key(ref: MatrixRef, fingerprint: str) -> str:
    """Return the sha256 of (stored bytes, dtype, shape of the stored tensor, view).

    Of an update also of what its numbers depend on beside bytes, such as LoRA's scaling.
    """
    content = [fingerprint, ref.dtype, [span.size for span in ref.view.spans], asdict(ref.view)]
    content += [] if ref.update is None else ref.update.content()
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def files_of(ref: MatrixRef) -> tuple[Path, ...]:
    """Return every file that a matrix is made from, each once: all that its fingerprint reads."""
    return tuple(Path(file) for file in ref.files)


def _sha256(file: str, tensor: str) -> str:
    found = hashlib.sha256()
    for block in _blocks(Path(file), tensor):
        found.update(block)
    return found.hexdigest()


def _blocks(path: Path, tensor: str) -> Iterator[bytes]:
    if path.suffix in PICKLES:
        data = read_pickle(path)[tensor].contiguous().view(-1).view(torch.uint8)
        for start in range(0, len(data), BLOCK):
            yield data[start : start + BLOCK].numpy().tobytes()
        return
    # The header is read anew: offsets of a file that changed since would be another tensor's.
    stored = next((t for t in read_header(path) if t.name == tensor), None)
    if stored is None:
        raise BadModel(f"{path} no longer holds {tensor}: open the model again")
    with path.open("rb") as file:
        file.seek(stored.offset)
        for start in range(0, stored.bytes, BLOCK):
            yield file.read(min(BLOCK, stored.bytes - start))
