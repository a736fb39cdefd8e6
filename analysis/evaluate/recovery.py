"""Training a compressed model a little, and the dense model as much: what of the loss comes back.

AdamW (Loshchilov & Hutter 2017, https://arxiv.org/abs/1711.05101) without weight decay and at one
rate, on the model's own loss: next tokens, or a drawn 15 % of masked ones. Only the matrices of the
given layers are trained, no bias, and dropout is off, so that a seed decides everything.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from analysis.compress.pieces import NonFiniteLayer
from analysis.evaluate.nats import UNSCORED, evaluating, mask, next_tokens
from analysis.evaluate.non_finite import non_finite
from analysis.networks.errors import NotRunnable
from analysis.registry import Quiet, Report

BATCH = 8  # windows
CLIP = 1.0  # norm of the gradient


def recover(  # noqa: PLR0913  all of it is the recipe
    network: nn.Module,
    forms: Mapping[str, nn.Module],  # by layer, modules of the network
    ids: Tensor,  # (windows, length) int64
    steps: int,
    lr: float,
    *,
    only: Collection[str] | None = None,
    seed: int = 0,
    mask_id: int | None = None,
    report: Report | None = None,
) -> tuple[float, ...]:
    """Train the factors of some forms (`only`: of these layers) and return each step's loss.

    `mask_id` is the mask token of a masked model. The network is changed in place; what it takes
    gradients of, and its modes, are put back. Raises ValueError for layers that hold nothing to
    train, NotRunnable for a network without a loss, NonFiniteLayer for a loss or gradient.
    """
    chosen = {name: form for name, form in forms.items() if only is None or name in only}
    trained = list(_matrices(chosen.values()))
    if not trained:
        raise ValueError(f"expected layers with factors to train, got {sorted(chosen)}")
    batches = _batches(ids, steps, seed, mask_id, network)
    return _trained(network, trained, batches, lr, report or Quiet(), steps)


def control(  # noqa: PLR0913  the same recipe
    network: nn.Module,
    targets: Iterable[Any],  # with the path of each `module`
    ids: Tensor,
    steps: int,
    lr: float,
    *,
    seed: int = 0,
    mask_id: int | None = None,
    report: Report | None = None,
) -> tuple[float, ...]:
    """Train the dense layers of some targets with the batches that `recover` draws."""
    paths = dict.fromkeys(target.module for target in targets)
    dense = {path: network.get_submodule(path) for path in paths}
    return recover(network, dense, ids, steps, lr, seed=seed, mask_id=mask_id, report=report)


def _matrices(modules: Iterable[nn.Module]) -> Iterator[nn.Parameter]:
    """Yield each floating parameter once, all but biases."""
    seen: set[int] = set()
    for module in modules:
        for name, parameter in module.named_parameters():
            if name.rpartition(".")[2] == "bias" or not parameter.is_floating_point():
                continue
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield parameter


def _batches(
    ids: Tensor, steps: int, seed: int, mask_id: int | None, network: nn.Module
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield inputs and targets of each step: windows in a drawn order, again when all were seen."""
    masked = "Masked" in type(network).__name__ or "PreTraining" in type(network).__name__
    if masked and mask_id is None:
        raise ValueError(f"expected mask_id for a {type(network).__name__}, got None")
    generator = torch.Generator().manual_seed(seed)
    waiting = torch.empty(0, dtype=torch.int64)
    for _ in range(steps):
        while len(waiting) < min(BATCH, len(ids)):
            waiting = torch.cat([waiting, torch.randperm(len(ids), generator=generator)])
        rows, waiting = ids[waiting[:BATCH]], waiting[BATCH:]
        if mask_id is None:
            yield rows, next_tokens(rows)
        else:
            yield mask(rows, mask_id, generator, _ends(rows))


def _ends(rows: Tensor) -> tuple[int, ...]:
    """Return the tokens with which all windows open and close, if they do: none is masked."""
    sides = (rows[:, 0], rows[:, -1])
    if rows.shape[1] < 3 or not all((side == side[0]).all() for side in sides):
        return ()
    return tuple(int(side[0]) for side in sides)


def _trained(
    network: nn.Module,
    trained: list[nn.Parameter],
    batches: Iterator[tuple[Tensor, Tensor]],
    lr: float,
    report: Report,
    steps: int,
) -> tuple[float, ...]:
    losses: list[float] = []
    with evaluating(network), _only(network, trained), torch.enable_grad():
        optimizer = torch.optim.AdamW(trained, lr=lr, weight_decay=0.0)
        for step, (inputs, targets) in enumerate(batches):
            report(step, steps, "training steps")
            losses.append(_step(network, trained, optimizer, inputs, targets))
    report(steps, steps, "training steps")
    return tuple(losses)


def _step(
    network: nn.Module,
    trained: list[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    inputs: Tensor,
    targets: Tensor,
) -> float:
    device = trained[0].device
    inputs, targets = inputs.to(device), targets.to(device)
    output = network(input_ids=inputs)
    if not hasattr(output, "logits"):
        raise NotRunnable(
            f"a {type(network).__name__} has no head, so there is no loss to train on: "
            "set recovery steps to 0"
        )
    loss = nn.functional.cross_entropy(
        output.logits.float().flatten(0, 1), targets.flatten(), ignore_index=UNSCORED
    )
    if not loss.isfinite():
        raise non_finite(network, lambda: network(input_ids=inputs))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    _check_gradients(network, trained)
    nn.utils.clip_grad_norm_(trained, CLIP)
    optimizer.step()
    return float(loss.detach())


def _check_gradients(network: nn.Module, trained: list[nn.Parameter]) -> None:
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    for parameter in trained:
        if parameter.grad is not None and not parameter.grad.isfinite().all():
            raise NonFiniteLayer(names[id(parameter)], "the gradient of its factors")


@contextmanager
def _only(network: nn.Module, trained: list[nn.Parameter]) -> Iterator[None]:
    """Freeze all but some parameters, and put back what took gradients before."""
    before = {parameter: parameter.requires_grad for parameter in network.parameters()}
    chosen = {id(parameter) for parameter in trained}
    try:
        for parameter in before:
            parameter.requires_grad_(id(parameter) in chosen)
        yield
    finally:
        for parameter, wanted in before.items():
            parameter.requires_grad_(wanted)
            parameter.grad = None
