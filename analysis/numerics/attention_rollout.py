"""Attention rollout: how attention alone would carry tokens through the blocks.

Abnar & Zuidema (2020), https://arxiv.org/abs/2005.00928
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def attention_rollout(patterns: Sequence[Tensor]) -> Tensor:
    """Return the product over blocks of (mean over heads + I)/2, last block leftmost, (L, L).

    `patterns` are (H, L, L), first block first, with rows that sum to 1; so do the result's.
    """
    length = patterns[0].shape[-1]
    identity = torch.eye(length, dtype=torch.float64)
    rolled = identity
    for pattern in patterns:
        rolled = (pattern.double().cpu().mean(0) + identity) / 2 @ rolled
    return rolled
