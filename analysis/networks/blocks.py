"""Where a layer that is known by its display name lies among a network's parameters."""

from dataclasses import dataclass

import torch
from torch import nn

from analysis.networks.errors import NotRunnable
from analysis.weights.refs import MatrixRef
from analysis.weights.source import Source


@dataclass(frozen=True)
class Block:
    """A parameter, and which entries of it are meant: all, or one part of a fused projection."""

    name: str  # of the parameter in the network
    parameter: nn.Parameter
    index: tuple[slice, ...]

    @property
    def values(self) -> torch.Tensor:
        """The entries, as a view of the parameter."""
        return self.parameter[self.index]


def find(source: Source, network: nn.Module, layer: str) -> Block:
    """Return the block of one layer, fused parts by their slices.

    Raises NotRunnable where the network has no parameter of that name, or the layer's entries are
    interleaved with others.
    """
    listed = source.base if source.kind == "adapter" and source.base is not None else source
    refs = [ref for ref in listed.matrices() if ref.label.layer == layer]
    if not refs:
        raise NotRunnable(f"{source.name} has no layer {layer!r}: choose one it lists")
    parameters = dict(network.named_parameters())
    name = _name(refs[0].tensor, parameters, str(getattr(network, "base_model_prefix", "")))
    if name is None:
        raise NotRunnable(
            f"{layer} is stored as {refs[0].tensor}, which is no single parameter of the running "
            f"{type(network).__name__}: choose another layer"
        )
    return Block(name, parameters[name], _index(refs[0], layer))


def _name(tensor: str, parameters: dict[str, nn.Parameter], prefix: str) -> str | None:
    """Return the parameter's name: files come with and without the base model's prefix."""
    stem, _, leaf = tensor.rpartition(".")
    in_chain = f"{stem.replace('.', '_')}.{leaf}"  # its modules' names hold no dots
    for name in (tensor, f"{prefix}.{tensor}", tensor.removeprefix(f"{prefix}."), in_chain):
        if name in parameters:
            return name
    ending = [name for name in parameters if name.endswith(f".{tensor}")]
    return ending[0] if len(ending) == 1 else None


def _index(ref: MatrixRef, layer: str) -> tuple[slice, ...]:
    if any(span.length != span.stop - span.start for span in ref.view.spans):
        raise NotRunnable(
            f"{layer} is interleaved with others in {ref.tensor}: choose {ref.tensor}"
        )
    return tuple(slice(span.start, span.stop) for span in ref.view.spans)
