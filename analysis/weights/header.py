"""The header of a safetensors file, read without torch and without any weight.

A file is 8 bytes of little-endian length n, n bytes of JSON (name to dtype, shape and offsets)
and the data. Format: https://github.com/huggingface/safetensors
"""

import json
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from analysis.registry import AnalysisError

LONGEST_HEADER = 100_000_000  # the format's own limit
LONGEST_SIDE = 2**63 - 1  # what Arrow and the store can count
AGAIN = "copy or download it again"

# name in the file: (name in torch, bits)
DTYPES = {
    "F64": ("float64", 64),
    "F32": ("float32", 32),
    "F16": ("float16", 16),
    "BF16": ("bfloat16", 16),
    "F8_E4M3": ("float8_e4m3fn", 8),
    "F8_E4M3FNUZ": ("float8_e4m3fnuz", 8),
    "F8_E5M2": ("float8_e5m2", 8),
    "F8_E5M2FNUZ": ("float8_e5m2fnuz", 8),
    "F8_E8M0": ("float8_e8m0fnu", 8),
    "F6_E2M3": ("float6_e2m3", 6),
    "F6_E3M2": ("float6_e3m2", 6),
    "F4": ("float4_e2m1", 4),
    "C64": ("complex64", 64),
    "I64": ("int64", 64),
    "I32": ("int32", 32),
    "I16": ("int16", 16),
    "I8": ("int8", 8),
    "U64": ("uint64", 64),
    "U32": ("uint32", 32),
    "U16": ("uint16", 16),
    "U8": ("uint8", 8),
    "BOOL": ("bool", 8),
}


class BadModel(AnalysisError):  # noqa: N818  what was found, not a fault of the program
    """A path or id that cannot be opened as a model; its sentence names it and the cure."""


@dataclass(frozen=True)
class Stored:
    """One tensor of one file, as its header describes it."""

    name: str
    file: str
    dtype: str  # torch's name
    shape: tuple[int, ...]
    bytes: int
    offset: int = 0  # of the first byte in the file; 0 in a pickle
    same_as: str = ""  # the earlier tensor whose storage it shares (pickles only)

    @property
    def parameters(self) -> int:
        """Return the number of entries."""
        return math.prod(self.shape)


def read_header(path: Path) -> list[Stored]:
    """Return the tensors of a safetensors file, in the order of their bytes.

    Raises BadModel when the file is missing, empty, truncated, corrupt or longer than its header
    says.
    """
    size = _size(path)
    with path.open("rb") as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if size < 8 or length > min(size - 8, LONGEST_HEADER):
            raise BadModel(_no_header(path, start))
        text = file.read(length)
    tensors = _tensors(path, _parsed(path, text), data=8 + length)
    _check_layout(path, tensors, data=8 + length, size=size)
    return tensors


def _size(path: Path) -> int:
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise BadModel(f"{path} does not exist: check the path") from None
    except OSError as error:
        raise BadModel(f"{path} cannot be read ({error.strerror}): check its permissions") from None
    if size == 0:
        raise BadModel(f"{path} is empty (0 bytes): {AGAIN}")
    return size


def _no_header(path: Path, start: bytes) -> str:
    if start == b"version ":
        return f"{path} is a Git LFS pointer and not the weights: run `git lfs pull` beside it"
    return f"{path} is truncated or no safetensors file (its header is not whole): {AGAIN}"


def _parsed(path: Path, text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):  # also what is no UTF-8
        header = None
    if not isinstance(header, dict):
        raise BadModel(f"{path} is corrupt or no safetensors file (its header is no JSON): {AGAIN}")
    header.pop("__metadata__", None)
    return header


def _tensors(path: Path, header: dict[str, Any], data: int) -> list[Stored]:
    try:
        found = [_tensor(path, name, entry, data) for name, entry in header.items()]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BadModel(f"{path} is corrupt (its header lists no proper tensors): {AGAIN}") from None
    return sorted(found, key=lambda tensor: (tensor.offset, tensor.bytes))


def _tensor(path: Path, name: str, entry: dict[str, Any], data: int) -> Stored:
    # JSON can escape half a character, which is no text and which nothing can write.
    if name != _readable(name):
        raise BadModel(f"{path} is corrupt (it has a name that is no text: {name!a}): {AGAIN}")
    if entry["dtype"] not in DTYPES:
        raise BadModel(
            f"{path} holds {name} in {_readable(str(entry['dtype']))}, a type this version does "
            "not know: save the model as float32, float16 or bfloat16"
        )
    dtype, bits = DTYPES[entry["dtype"]]
    start, stop = entry["data_offsets"]
    shape = tuple(entry["shape"])
    if any(type(n) is not int or n < 0 for n in (*shape, start, stop)):
        raise ValueError(f"expected sizes and offsets of at least 0, got {entry}")
    if any(side > LONGEST_SIDE for side in shape):
        sides = " x ".join(map(str, shape))
        raise BadModel(f"{path} is corrupt (it lists {name} of {sides}): {AGAIN}")
    if (math.prod(shape) * bits + 7) // 8 != stop - start:
        raise BadModel(f"{path} is corrupt (the bytes of {name} do not fit its shape): {AGAIN}")
    return Stored(name, str(path), dtype, shape, stop - start, data + start)


def _readable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _check_layout(path: Path, tensors: list[Stored], data: int, size: int) -> None:
    """Raise BadModel unless the tensors fill the file's data without gap or overlap."""
    if not tensors:
        raise BadModel(f"{path} holds no tensors: save the model's weights into it")
    end = tensors[-1].offset + tensors[-1].bytes
    if end > size:
        raise BadModel(
            f"{path} is truncated: its header lists {end:,} bytes and it has {size:,}: {AGAIN}"
        )
    whole = tensors[0].offset == data and end == size
    if not whole or any(a.offset + a.bytes != b.offset for a, b in pairwise(tensors)):
        raise BadModel(f"{path} is corrupt (its data do not match its header): {AGAIN}")
