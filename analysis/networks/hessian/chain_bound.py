"""The rank predicted for the Hessian of a chain, and in words how far the prediction holds."""

import torch

from analysis.networks import chain
from analysis.networks.hessian.chain_objective import Chained
from analysis.networks.opened import OpenedModel
from analysis.numerics.hessian import linear_net_bound as known
from analysis.numerics.hessian.linear_net_bound import Ranks

EXACT = "bound of this linear net"
IDENTITY = "rank of generic linear conv nets of these sizes"
ELSEWHERE = "linear-net bound: this net has {}, and may exceed it"
TRANSFORMER = "no bound is known for transformers"


def predicted(
    model: OpenedModel, chained: Chained, layers: tuple[str, ...], *, activation: str, classes: bool
) -> tuple[Ranks | None, str]:
    """Return the ranks predicted for the whole net or for one layer, and what they are.

    `layers` are the weights' names in the file, () for all parameters. With `classes` the loss is
    softmax cross-entropy, and one output less counts.
    """
    found = chain.layers_of(model.source)
    beside = _not_linear(found, activation)
    if any(layer.is_conv for layer in found):
        return _convolutional(found, chained, plain=not (layers or beside or classes))
    if len(layers) > 1:
        return None, "no bound is known for some layers of a net together"
    widths = [found[0].weight.shape[1], *(layer.weight.shape[0] for layer in found)]
    widths[-1] -= classes
    r = int(torch.linalg.matrix_rank(chained.X.double()))
    label = ELSEWHERE.format(" and ".join(beside)) if beside else EXACT
    if not layers:
        return known.fully_connected(widths, r), label
    [place] = [i for i, layer in enumerate(found) if layer.weight.name == layers[0]]
    return known.one_layer(widths, r, place), label


def _not_linear(layers: tuple[chain.Layer, ...], activation: str) -> list[str]:
    found = [activation] if activation != "linear" and len(layers) > 1 else []
    return found + (["biases"] if any(layer.bias is not None for layer in layers) else [])


def _convolutional(
    layers: tuple[chain.Layer, ...], chained: Chained, *, plain: bool
) -> tuple[Ranks | None, str]:
    """Return the identity of the two families that have one."""
    shapes = [layer.weight.shape for layer in layers]
    found = None
    if plain and len(shapes) == 2 and _spans(chained.X):
        (m, c, k), last = shapes
        if len(last) == 2:
            found = known.convolution_and_linear((c, chained.X.shape[2]), m, k, last[0])
        elif c == last[0] == 1 and chained.X.shape[2] >= 2 * (k + last[2] - 1) - 1:
            found = known.two_convolutions(m, k, last[2])
    return found, IDENTITY if found else "no bound is known for this conv net"


def _spans(X: torch.Tensor) -> bool:
    """Return whether the inputs fill their space, as generic ones do."""
    rows = X.flatten(1)
    return bool(torch.linalg.matrix_rank(rows) == rows.shape[1])
