"""Attention matrices A (..., T, T) as states of looking x looked-at tokens.

Their rows sum to one.
"""

import torch
from torch import Tensor

from analysis.numerics.entanglement.entropy import entropy


def state_entropy(A: Tensor) -> Tensor:
    """Return -Σ p ln p in nats, p = s²/Σs² of the singular values of each matrix, float64."""
    return entropy(torch.linalg.svdvals(A.double()).square())


def is_causal(A: Tensor) -> bool:
    """Return whether no token looks at one after it."""
    return not bool(A.triu(1).any())


def logit_deviation(A: Tensor) -> Tensor:
    """Return the spread of the logits: the deviation of ln A about the mean of its own row.

    The square is Σ (ln a - mean of its row)² / Σ (n_i - 1) over rows of n_i positive entries, for
    a mask leaves zeros: unbiased for independent logits, whatever the mask. NaN where no row has
    two entries.
    """
    seen = A > 0
    logits = torch.where(seen, A, 1.0).double().log()
    count = seen.sum(-1).double()
    mean = logits.sum(-1) / count
    squares = torch.where(seen, logits - mean.unsqueeze(-1), 0.0).square().sum((-1, -2))
    return (squares / (count - 1).clamp(min=0).sum(-1)).sqrt()
