"""Peak memory of the tensors that a computation makes."""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class PeakMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of tensors that operations make, while they live; `peak` is the most.

    What was there before is not in it, nor what one operation takes and gives back inside.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = 0
        self.peak: int = 0
        self._sizes: dict[int, int] = {}  # by the storage's identity

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {id(t.untyped_storage()) for t in _tensors((args, kwargs))}
        made = func(*args, **(kwargs or {}))
        for tensor in _tensors(made):
            storage = tensor.untyped_storage()
            # Views and changes in place have a storage that was given to the operation.
            if id(storage) not in given and id(storage) not in self._sizes:
                self._hold(storage)
        return made

    def _hold(self, storage: torch.UntypedStorage) -> None:
        key = id(storage)
        self._sizes[key] = storage.nbytes()
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._release, key)

    def _release(self, key: int) -> None:
        self.now -= self._sizes.pop(key, 0)


def _tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


def peak_bytes(run: Callable[[], Any]) -> int:
    """Return the most bytes that tensors made by `run()` take at once."""
    memory = PeakMemory()
    with torch.no_grad(), memory:
        run()
    return memory.peak
