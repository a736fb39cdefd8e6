"""Multiplications and additions of linear layers for one more token, counted as they run.

Two floating point operations for each pair of a multiplication and an addition: 2mn for a dense
layer, two for each number of a two-factor or row-interpolative one.
"""

from collections.abc import Iterable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def linear_flops(network: nn.Module, modules: Iterable[str]) -> int:
    """Return the floating point operations of the layers at some paths for one more token."""
    return sum(_of_one(network.get_submodule(path)) for path in modules)


def _of_one(module: nn.Module) -> int:
    # What does not grow with the tokens, such as mixing a core, is left out by the difference.
    return _counted(module, 2) - _counted(module, 1)


def _counted(module: nn.Module, tokens: int) -> int:
    # transformers' Conv1D names no input width: it is the first side of its weight.
    width = getattr(module, "in_features", None) or module.get_parameter("weight").shape[0]
    like = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    x = torch.zeros(tokens, int(width), dtype=like.dtype, device=like.device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(x)
    return int(counter.get_total_flops())
