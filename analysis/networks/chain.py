"""State dicts that run without being told how: fully connected and 1-D convolutional chains.

Each weight's inputs are the outputs of the one before: Linear weights (out, in), or Conv1d weights
(out, in, kernel) of stride 1 without padding, followed by Linear ones that read all channels and
positions, flattened. The activation between them is not in the file; whoever runs it says it.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from analysis.networks import chain_order as order
from analysis.networks.errors import NotRunnable
from analysis.weights.header import Stored
from analysis.weights.reading import read
from analysis.weights.source import Source

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
}


@dataclass(frozen=True)
class Layer:
    """One layer as the files hold it."""

    weight: Stored
    bias: Stored | None

    @property
    def name(self) -> str:
        """The weight's name without `.weight`."""
        return self.weight.name.removesuffix(".weight")

    @property
    def is_conv(self) -> bool:
        """Whether the weight is (out, in, kernel)."""
        return len(self.weight.shape) == 3


def layers_of(source: Source) -> tuple[Layer, ...]:
    """Return the chain's layers in order: by the numbers in their names, or by their sizes.

    Raises NotRunnable where the weights are no chain, and where two orders are possible.
    """
    stored = {tensor.name: tensor for tensor in source.stored}
    weights = [t for t in source.stored if len(t.shape) in (2, 3)]
    weights.sort(key=lambda t: order.by_number(t.name))
    layers = [Layer(t, stored.get(t.name.removesuffix("weight") + "bias")) for t in weights]
    used = {t.name for layer in layers for t in (layer.weight, layer.bias) if t is not None}
    other = [name for name in stored if name not in used]
    if other or not layers:
        raise _no_chain(source, _stranger(stored, other) if other else "holds no weight")
    found = order.of([layer.name for layer in layers], lambda a, b: _follows(layers[a], layers[b]))
    if len(found) > 1:
        first, second = (order.arrows([layers[i].name for i in way]) for way in found[:2])
        raise NotRunnable(
            f"nothing says in which order the weights of {source.name} run: {first} and {second} "
            "both fit: put a number into each name"
        )
    if not found:
        before, after = next(p for p in pairwise(layers) if not _follows(*p))
        raise _no_chain(source, f"{after.weight.name} does not follow {before.weight.name}")
    return tuple(layers[i] for i in found[0])


def input_shape(layers: tuple[Layer, ...]) -> tuple[int, ...] | None:
    """Return the shape of one input: (d,) or (channels, length); None where any length does."""
    first = layers[0]
    if not first.is_conv:
        return (first.weight.shape[1],)
    convs = [layer for layer in layers if layer.is_conv]
    if len(convs) == len(layers):
        return None
    head = layers[len(convs)].weight.shape[1]
    length = head // convs[-1].weight.shape[0]
    return first.weight.shape[1], length + sum(layer.weight.shape[2] - 1 for layer in convs)


def network(source: Source, activation: str) -> nn.Sequential:
    """Return the chain as modules named as in the file, in float64 (dots become underscores).

    Raises NotRunnable where the weights are no chain, ValueError for an unknown activation.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"expected an activation of {', '.join(ACTIVATIONS)}, got {activation!r}")
    layers = layers_of(source)
    chained = nn.Sequential()
    for i, layer in enumerate(layers):
        if i:
            if layers[i - 1].is_conv and not layer.is_conv:
                chained.add_module(f"flatten{i}", nn.Flatten())
            chained.add_module(f"activation{i}", ACTIVATIONS[activation]())
        chained.add_module(layer.name.replace(".", "_"), _module(layer))
    return chained


def _module(layer: Layer) -> nn.Module:
    shape, has_bias = layer.weight.shape, layer.bias is not None
    made = (
        nn.Conv1d(shape[1], shape[0], shape[2], bias=has_bias, dtype=torch.float64)
        if layer.is_conv
        else nn.Linear(shape[1], shape[0], bias=has_bias, dtype=torch.float64)
    )
    with torch.no_grad():
        made.weight.copy_(_values(layer.weight))
        if layer.bias is not None and made.bias is not None:
            made.bias.copy_(_values(layer.bias))
    return made


def _values(stored: Stored) -> Tensor:
    return read(stored.file, stored.name, tuple(slice(0, size) for size in stored.shape))


def _follows(before: Layer, after: Layer) -> bool:
    outputs, inputs = before.weight.shape[0], after.weight.shape[1]
    if after.is_conv and not before.is_conv:
        return False
    if before.is_conv and not after.is_conv:
        return inputs % outputs == 0
    return inputs == outputs


def _stranger(stored: dict[str, Stored], other: list[str]) -> str:
    """Name what does not fit: a convolution over an image before a bias without its weight."""
    name = max(other, key=lambda n: len(stored[n].shape))
    sizes = " x ".join(str(size) for size in stored[name].shape)
    return f"holds {name} ({sizes})"


def _no_chain(source: Source, what: str) -> NotRunnable:
    return NotRunnable(
        f"{source.name} is a state dict without a config.json and {what}, so nothing says how it "
        "runs: give a folder in Hugging Face layout, or a chain of Linear or Conv1d weights"
    )
