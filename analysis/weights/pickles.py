"""State dicts in pickles (`.pt`, `.pth`, `.th`, `.bin`), opened only where the user allows it.

A pickle can run code when it is opened; `weights_only=True` admits tensors and plain containers
and refuses everything else. The file is mapped and not copied where it is a zip archive, as
`torch.save` writes it by default.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from analysis.weights.header import BadModel, Stored

NESTS = ("state_dict", "model", "model_state_dict", "module", "net", "params")


def read_pickle(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a state dict, in its order.

    `{"state_dict": ...}` and the other common nests are looked into. Raises BadModel when the file
    is missing or empty, holds anything but tensors and plain containers, or holds no tensors.
    """
    if not path.is_file() or path.stat().st_size == 0:
        state = "is empty (0 bytes): copy or download it again"
        raise BadModel(f"{path} {state if path.is_file() else 'does not exist: check the path'}")
    tensors = _tensors(_unpickled(path))
    if not tensors:
        raise BadModel(
            f"{path} holds no tensors: save it with torch.save(model.state_dict(), path)"
        )
    return tensors


def pickle_header(path: Path) -> list[Stored]:
    """List the tensors of a pickled state dict; those that share a storage say with which one."""
    listed: list[Stored] = []
    first: dict[tuple[Any, ...], str] = {}
    for name, tensor in read_pickle(path).items():
        dtype = str(tensor.dtype).removeprefix("torch.")
        storage = (_address(tensor), dtype, tuple(tensor.shape), tensor.stride())
        same_as = "" if tensor.numel() == 0 else first.setdefault(storage, name)
        same_as = "" if same_as == name else same_as
        shape, size = tuple(tensor.shape), tensor.numel() * tensor.element_size()
        listed.append(Stored(name, str(path), dtype, shape, size, same_as=same_as))
    return listed


def _address(tensor: Tensor) -> int:
    start = int(tensor.storage_offset()) * tensor.element_size()
    return tensor.untyped_storage().data_ptr() + start


def _unpickled(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except pickle.UnpicklingError:
        raise BadModel(
            f"{path} holds more than a state dict (a whole pickled model or other objects), which "
            "is not opened: save its weights with torch.save(model.state_dict(), path)"
        ) from None
    except Exception as error:  # noqa: BLE001  a broken pickle fails in whichever way it is broken
        reason = str(error).split("\n")[0][:120]
        raise BadModel(
            f"{path} is truncated or no PyTorch file ({reason}): copy or download it again"
        ) from None


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _tensors(content: Any) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        return {}
    own = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    nested = (_tensors(content[name]) for name in NESTS if name in content)
    return own or next((tensors for tensors in nested if tensors), {})
