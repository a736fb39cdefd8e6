"""Warm-up, stable, decay: a learning rate whose plateau does not depend on the end.

A run can therefore be shortened or prolonged after it began.
Hu et al. (2024), https://arxiv.org/abs/2404.06395
"""


def warmup_stable_decay(step: int, steps: int, warmup: int = 100, decay: float = 0.3) -> float:
    """Factor on the peak rate: linear rise, plateau, linear fall over the last `decay`."""
    rise = (step + 1) / warmup
    fall = (steps - step) / max(1.0, decay * steps)
    return min(1.0, rise, fall)
