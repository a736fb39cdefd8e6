"""Attention matrices A (..., T, T) as states of looking x looked-at tokens.

Their rows sum to one.
"""

import torch
from torch import Tensor

from analysis.numerics.entropy import entropy


def state_entropy(A: Tensor) -> Tensor:
    """Return -Σ p ln p in nats, p = s²/Σs² of the singular values of each matrix, float64."""
    return entropy(torch.linalg.svdvals(A.double()).square())


def is_causal(A: Tensor) -> bool:
    """Return whether no token looks at one after it."""
    return not bool(A.triu(1).any())


def logit_deviation(A: Tensor) -> Tensor:
    """Return the spread of the logits: the root mean square of ln A about the mean of its row.

    Only positive entries count (a mask leaves zeros), in rows that have two or more of them; NaN
    where no row has.
    """
    seen = A > 0
    logits = torch.where(seen, A, 1.0).double().log()
    count = seen.sum(-1).double()
    mean = logits.sum(-1) / count
    squares = torch.where(seen, logits - mean.unsqueeze(-1), 0.0).square().sum(-1) / count
    rows = count >= 2
    return (torch.where(rows, squares, 0.0).sum(-1) / rows.sum(-1)).sqrt()
