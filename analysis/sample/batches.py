"""Which windows of a token stream each training step sees, fixed by seed and step alone."""

import torch


def batch(ids: torch.Tensor, step: int, *, seed: int, rows: int, window: int) -> torch.Tensor:
    """Windows of one step, (rows, window + 1); an epoch shows each window once, newly cut.

    Depends on no earlier step, so that an interrupted run goes on as if it never stopped.
    """
    per_epoch = (len(ids) - window - 1) // (window * rows)
    if per_epoch < 1:
        raise ValueError(f"expected more than {window * (rows + 1)} tokens, got {len(ids)}")
    epoch, turn = divmod(step, per_epoch)
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    phase = torch.randint(window, (1,), generator=generator)
    order = torch.randperm(per_epoch * rows, generator=generator)
    starts = phase + window * order[turn * rows : (turn + 1) * rows]
    return ids[starts[:, None] + torch.arange(window + 1)]
