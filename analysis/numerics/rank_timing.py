"""How much faster a layer trains as two factors on this machine, and which layers stay whole.

Wang et al. (2023), Cuttlefish, https://arxiv.org/abs/2305.02538
"""

import statistics
import time
from collections.abc import Mapping, Sequence

import torch
from torch import nn

RATIOS = (1 / 2, 1 / 4, 1 / 8, 1 / 16)
DECISIVE = 1 / 4
WORTH_IT = 1.5
WARM_UPS, REPEATS = 3, 15

Shape = tuple[int, int]


def seconds(shape: Shape, tokens: int) -> tuple[float, ...]:
    """Return a training step's seconds for a layer (m, n): dense, then at each of `RATIOS`.

    The median of 15 forward and backward passes over `tokens` inputs, in bfloat16 autocast; the
    passes take turns, so that a busy moment of the machine slows all alike.
    """
    m, n = shape
    ranks = [max(1, round(ratio * min(m, n))) for ratio in RATIOS]
    with torch.random.fork_rng(devices=[]):
        layers: list[nn.Module] = [nn.Linear(n, m, bias=False)]
        layers += [
            nn.Sequential(nn.Linear(n, k, bias=False), nn.Linear(k, m, bias=False)) for k in ranks
        ]
    inputs = torch.ones(tokens, n, requires_grad=True)
    taken: list[list[float]] = [[] for _ in layers]
    for turn in range(WARM_UPS + REPEATS):
        for layer, found in zip(layers, taken, strict=True):
            once = _pass(layer, inputs)
            if turn >= WARM_UPS:
                found.append(once)
    return tuple(statistics.median(found) for found in taken)


def _pass(layer: nn.Module, inputs: torch.Tensor) -> float:
    started = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16):
        outputs = layer(inputs)
    outputs.backward(torch.ones_like(outputs))
    taken = time.perf_counter() - started
    layer.zero_grad()
    inputs.grad = None
    return taken


def speedup(timed: Sequence[float]) -> float:
    """Return how many times faster the layer is at a quarter of its rank."""
    return timed[0] / timed[1 + RATIOS.index(DECISIVE)]


def leading(shapes: Sequence[Shape], timed: Mapping[Shape, Sequence[float]]) -> int:
    """Return K: the layers before the first whose shape is at least 1.5 times faster.

    All of them where none is: then factors save memory here, and no time.
    """
    worth = (i for i, shape in enumerate(shapes) if speedup(timed[shape]) >= WORTH_IT)
    return next(worth, len(shapes))
