"""Which layer the first NaN or infinity of a forward pass comes from."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from analysis.compress.pieces import NonFiniteLayer
from analysis.networks.opened import OpenedModel


def non_finite(network: nn.Module, run: Callable[[], Any]) -> NonFiniteLayer:
    """Return the error that names the first module whose output is not finite in `run()`.

    Modules finish from the inside out, so that is the innermost. Where all modules' outputs are
    finite, the model's own output is named.
    """
    found: list[str] = []
    handles = [
        module.register_forward_hook(_noting(name, found))
        for name, module in network.named_modules()
        if name
    ]
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    return NonFiniteLayer(found[0] if found else "the model", "its output")


def all_finite(value: Any) -> bool:
    """Say whether every floating number in a tensor, or in tensors nested in a value, is finite."""
    if isinstance(value, Tensor):
        return not value.is_floating_point() or bool(value.isfinite().all())
    if isinstance(value, Mapping):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return True
    return all(all_finite(inner) for inner in value)


@contextmanager
def layers_named(opened: OpenedModel) -> Iterator[None]:
    """Turn the module's path of a NonFiniteLayer into the display name of the layer."""
    try:
        yield
    except NonFiniteLayer as error:
        raise NonFiniteLayer(display_name(opened, error.layer), error.what) from None


def display_name(opened: OpenedModel, path: str) -> str:
    """Return the name under which the layer at a module's path is listed, or else the path.

    A path inside a module that stands for a layer means that layer; one that holds several, such
    as a fused projection, keeps its path.
    """
    names = _names(opened)
    parts = path.split(".")
    for stop in range(len(parts), 0, -1):
        prefix = ".".join(parts[:stop])
        stems = [stem for stem in names if _same(stem, prefix)]
        if len(stems) == 1:
            layers = names[stems[0]]
            return layers[0] if len(layers) == 1 else prefix
    return path


def _same(stem: str, path: str) -> bool:
    """Say whether a tensor's stem is a module's path: either may lack the base model's prefix."""
    return stem == path or stem.endswith(f".{path}") or path.endswith(f".{stem}")


def _names(opened: OpenedModel) -> dict[str, list[str]]:
    """Return the layers by the stem of the tensor that holds them."""
    found: dict[str, list[str]] = {}
    for ref in opened.source.run.matrices():
        found.setdefault(ref.tensor.rpartition(".")[0], []).append(ref.label.layer)
    return found


def _noting(name: str, found: list[str]) -> Callable[..., None]:
    def note(_module: nn.Module, _given: Any, output: Any) -> None:
        if not found and not all_finite(output):
            found.append(name)

    return note
