"""The loss of a chain of layers on an .npz file's arrays, or on seeded Gaussian ones."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from analysis.networks import chain
from analysis.networks.chain_order import arrows, is_numbered
from analysis.networks.errors import BadInput
from analysis.networks.hessian.objectives import Objective
from analysis.networks.inputs import Inputs
from analysis.networks.opened import OpenedModel
from analysis.numerics.hessian.losses import CrossEntropy, Loss, Squared

LOSSES = ("squared", "cross entropy")


@dataclass(frozen=True, eq=False)
class Chained:
    """A chain's objective, and what a prediction of its Hessian's rank asks."""

    objective: Objective
    X: Tensor  # (n, d) or (n, channels, length)
    outputs: int  # K


def of_arrays(
    model: OpenedModel, network: nn.Module, inputs: Inputs, loss: str, samples: int, seed: int
) -> Chained:
    """Return a chain's loss on the first `samples` rows of X and Y, or on as many Gaussian ones.

    Raises BadInput where the arrays do not fit the chain or the loss.
    """
    shape = chain.input_shape(chain.layers_of(model.source)) or _generous(model)
    given = inputs.arrays()
    generator = torch.Generator().manual_seed(seed)
    if given is None:
        X = torch.randn(samples, *shape, generator=generator, dtype=torch.float64)
        words = f"{samples} Gaussian inputs of {' x '.join(map(str, shape))}, seed {seed}"
    else:
        X = given[0][:samples]
        words = f"{len(X)} rows of {inputs.name}"
        _check_inputs(model, inputs.name, X, shape)
    names = [layer.name for layer in chain.layers_of(model.source)]
    if not is_numbered(names):
        words += f", through {arrows(names)} (the only order that fits)"
    like = next(network.parameters())
    X = X.to(like)
    with torch.no_grad():
        out = network(X)
    if loss == "cross entropy" and (out.dim() > 2 or out.shape[1] < 2):
        raise BadInput(
            f"{model.name} ends in {' x '.join(map(str, out.shape[1:]))} outputs, which are no "
            "classes: choose the squared loss"
        )
    Y = None if given is None else given[1][:samples]
    chosen = _loss(loss, out, Y, inputs.name, generator)
    objective = Objective(network, {"input": X}, lambda f: f.flatten(1), chosen, words)
    return Chained(objective, X, out.flatten(1).shape[1])


def _loss(loss: str, out: Tensor, Y: Tensor | None, name: str, generator: torch.Generator) -> Loss:
    if loss == "cross entropy":
        return CrossEntropy(_labels(out, Y, name, generator))
    if Y is None:
        Y = torch.randn(out.shape, generator=generator, dtype=torch.float64)
    if Y.numel() != out.numel():
        raise BadInput(
            f"{name} has Y of shape {tuple(Y.shape)}, and the outputs are {tuple(out.shape)}: "
            "give a target for each output, or choose the cross entropy loss for labels"
        )
    return Squared(Y.to(out).reshape(len(out), -1))


def _labels(out: Tensor, Y: Tensor | None, name: str, generator: torch.Generator) -> Tensor:
    count, K = out.shape
    if Y is None:
        return torch.randint(K, (count,), generator=generator).to(out.device)
    if Y.numel() != count or not ((Y.round() == Y) & (Y >= 0) & (Y < K)).all():
        raise BadInput(
            f"{name} has Y of shape {tuple(Y.shape)}, and the loss needs one whole number below "
            f"{K} for each row: give labels, or choose the squared loss"
        )
    return Y.reshape(-1).long().to(out.device)


def _check_inputs(model: OpenedModel, name: str, X: Tensor, shape: tuple[int, ...]) -> None:
    free = chain.input_shape(chain.layers_of(model.source)) is None  # any length that is enough
    fits = X.dim() == len(shape) + 1 and X.shape[1] == shape[0]
    if fits and free:
        fits = X.shape[2] >= shape[1] // 2
    elif fits:
        fits = tuple(X.shape[1:]) == shape
    if not fits:
        raise BadInput(
            f"{name} has X of shape {tuple(X.shape)}, and {model.name} reads rows of "
            f"{' x '.join(map(str, shape))}: give such rows"
        )


def _generous(model: OpenedModel) -> tuple[int, int]:
    """Return the shape of inputs twice as long as what one output of a pure conv net sees."""
    layers = chain.layers_of(model.source)
    seen = 1 + sum(layer.weight.shape[2] - 1 for layer in layers)
    return layers[0].weight.shape[1], 2 * seen
