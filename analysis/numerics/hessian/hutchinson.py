"""Traces from products with random signs: E zᵀAz = tr A for entries ±1.

Its variance is 2 Σ_{i≠j} A_ij², the least of all such vectors.
Hutchinson (1989), https://doi.org/10.1080/03610919008812866
"""

from collections.abc import Callable

import torch
from torch import Tensor

from analysis.numerics.hessian.estimate import Estimate, estimate


def hutchinson(
    parts: Callable[[Tensor], tuple[Tensor, Tensor]], like: Tensor, size: tuple[int, int],
    generator: torch.Generator, tick: Callable[[], None],
) -> tuple[Estimate, Estimate, Estimate]:  # fmt: skip
    """Return the traces of A + B, A and B, where `parts(z)` is (A z, B z).

    `size` is (p, probes), `like` gives dtype and device; `tick` is called after each probe.
    """
    parameters, probes = size
    samples = []
    for _ in range(probes):
        signs = torch.randint(2, (parameters,), generator=generator) * 2 - 1
        z = signs.to(like)
        first, second = (float(z @ product) for product in parts(z))
        samples.append((first + second, first, second))
        tick()
    total, outer, functional = (estimate(column) for column in zip(*samples, strict=True))
    return total, outer, functional
