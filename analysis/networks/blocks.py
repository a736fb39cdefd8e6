"""Where a layer that is known by its display name lies among a network's parameters."""

from collections.abc import Mapping
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
    refs = [ref for ref in source.run.matrices() if ref.label.layer == layer]
    if not refs:
        raise NotRunnable(f"{source.name} has no layer {layer!r}: choose one it lists")
    parameters = dict(network.named_parameters())
    name = parameter_name(refs[0].tensor, parameters, network)
    if name is None:
        raise NotRunnable(f"{layer} {no_parameter(refs[0], network)}: choose another layer")
    return Block(name, parameters[name], _index(refs[0], layer))


def no_parameter(ref: MatrixRef, network: nn.Module) -> str:
    """Return the words for a matrix whose tensor the network does not hold as one parameter."""
    return (
        f"is stored as {ref.tensor}, which is no single parameter of the running "
        f"{type(network).__name__}"
    )


def parameter_name(
    tensor: str, parameters: Mapping[str, nn.Parameter], network: nn.Module
) -> str | None:
    """Return the name of a file's tensor among a network's parameters, None where it is not there.

    Files come with and without the base model's prefix.
    """
    prefix = str(getattr(network, "base_model_prefix", ""))
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
