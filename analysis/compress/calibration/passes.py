"""Forward passes over a network that note what a few of its linear modules read and give."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from analysis.compress.trials.targets import Target
from analysis.networks.errors import NotRunnable


class NotFiniteError(Exception):
    """An output was NaN or infinite; which module it comes from is for another pass to find."""


class _Enough(Exception):  # noqa: N818  no fault: what is left of a pass is not needed
    """The last block that a pass is for has been through."""


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a module in the pass at hand."""

    module: str
    X: Tensor  # (N, n) float64, the same tensor for all calls that read one input
    tap: Tensor | None  # zeros added to the output: the loss's gradient by it is that by the output


@dataclass(frozen=True, eq=False)
class _Seen:
    """An input of the pass at hand. It is held, so that no other can take its address."""

    x: Tensor
    version: int
    reader: str
    X: Tensor


class Recorder:
    """What the modules of some targets read and give, one pass at a time.

    `readers` names for each module the one whose Gram matrix serves it: the first that read the
    same tensor, as q does for k and v. Passes without gradients stop behind the last block of the
    targets, once a first pass has counted how often blocks are passed.
    """

    def __init__(self, network: nn.Module, found: Sequence[Target]) -> None:
        self.calls: list[Call] = []
        self.readers: dict[str, str] = {}
        self._network = network
        self._modules = sorted({target.module for target in found})
        self._ends = sorted({_block_of(target) for target in found})
        self._seen: list[_Seen] = []
        self._taps = False
        self._ended = 0
        self._last: int | None = None

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Listen for as long as the context is open."""
        handles = [
            self._network.get_submodule(path).register_forward_hook(
                self._noting(path), with_kwargs=True
            )
            for path in self._modules
        ]
        handles += [
            self._network.get_submodule(path).register_forward_hook(self._counting)
            for path in self._ends
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            self.calls, self._seen = [], []

    def run(self, arguments: Mapping[str, Tensor], taps: bool = False) -> Any:
        """Return what the network gives, None where the pass was stopped; `calls` are new.

        With `taps` the outputs can be differentiated by. Raises NotFiniteError.
        """
        self.calls, self._seen, self._ended, self._taps = [], [], 0, taps
        try:
            with torch.set_grad_enabled(taps):
                output = self._network(**arguments)
        except _Enough:
            return None
        self._last = self._ended
        return output

    def _noting(self, path: str) -> Callable[..., Tensor]:
        def note(_module: nn.Module, args: Any, kwargs: Any, y: Tensor) -> Tensor:
            if not y.isfinite().all():
                raise NotFiniteError
            X = self._read(path, next(iter((*args, *kwargs.values()))))
            tap = torch.zeros_like(y, requires_grad=True) if self._taps else None
            self.calls.append(Call(path, X, tap))
            return y if tap is None else y + tap

        return note

    def _read(self, path: str, x: Tensor) -> Tensor:
        """Return an input in float64, once for all modules that read it, and settle who owns it."""
        seen = next((seen for seen in self._seen if _same(seen, x)), None)
        if seen is None:
            X = x.detach().reshape(-1, x.shape[-1]).to(torch.float64, copy=True)
            seen = _Seen(x, x._version, path, X)
            self._seen.append(seen)
        reader = self.readers.setdefault(path, seen.reader)
        if reader not in (path, seen.reader):
            raise NotRunnable(f"{path} read what {reader} reads, and then something else")
        return seen.X

    def _counting(self, _module: nn.Module, _given: Any, _output: Any) -> None:
        self._ended += 1
        if not self._taps and self._ended == self._last:
            raise _Enough


def _same(seen: _Seen, x: Tensor) -> bool:
    """Say whether a tensor is an earlier input, not written to since: itself or an equal view."""
    return (
        seen.x.data_ptr() == x.data_ptr()
        and seen.x.numel() == x.numel()
        and seen.x.shape[-1] == x.shape[-1]
        and seen.x.is_contiguous() == x.is_contiguous()
        and seen.version == x._version
    )


def _block_of(target: Target) -> str:
    """Return the path of a target's block, its own where it is in none."""
    parts = target.module.split(".")
    if target.block is None or str(target.block) not in parts:
        return target.module
    return ".".join(parts[: parts.index(str(target.block)) + 1])


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Let no parameter be differentiated by, and each as before afterwards.

    A pass then keeps nothing from before the first tap.
    """
    flags = [(parameter, parameter.requires_grad) for parameter in network.parameters()]
    network.requires_grad_(False)
    try:
        yield
    finally:
        for parameter, flag in flags:
            parameter.requires_grad_(flag)
