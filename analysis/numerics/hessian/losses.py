"""Losses as functions of a network's outputs, with what curvature needs: their two derivatives.

Outputs are f (n, K) for n samples of K numbers. The second derivative of both losses is block
diagonal in the samples and depends on f alone (https://arxiv.org/abs/1412.1193, section 3).
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Loss(Protocol):
    """A loss of the outputs f (n, K)."""

    def value(self, f: Tensor) -> Tensor:
        """Return the loss, a scalar."""

    def gradient(self, f: Tensor) -> Tensor:
        """Return dL/df, (n, K)."""

    def second(self, f: Tensor, d: Tensor) -> Tensor:
        """Return (d2L/df2) d, (n, K), for a direction d (n, K)."""


@dataclass(frozen=True, eq=False)
class Squared:
    """L = 1/(2n) Σ ‖f_i - y_i‖²."""

    targets: Tensor  # (n, K)

    def value(self, f: Tensor) -> Tensor:
        """Return the loss."""
        return (f - self.targets).square().sum() / (2 * len(f))

    def gradient(self, f: Tensor) -> Tensor:
        """Return (f - y)/n."""
        return (f - self.targets) / len(f)

    def second(self, f: Tensor, d: Tensor) -> Tensor:
        """Return d/n."""
        return d / len(f)


@dataclass(frozen=True, eq=False)
class CrossEntropy:
    """L = -1/n Σ ln softmax(f_i)[y_i]; its second derivative has rank K - 1 in each sample."""

    labels: Tensor  # (n,) int64

    def value(self, f: Tensor) -> Tensor:
        """Return the loss."""
        return torch.nn.functional.cross_entropy(f, self.labels)

    def gradient(self, f: Tensor) -> Tensor:
        """Return (softmax(f) - onehot(y))/n."""
        chances = f.softmax(-1)
        chances[torch.arange(len(f), device=f.device), self.labels] -= 1
        return chances / len(f)

    def second(self, f: Tensor, d: Tensor) -> Tensor:
        """Return (diag(π) - ππᵀ) d/n with π = softmax(f)."""
        chances = f.softmax(-1)
        return chances * (d - (chances * d).sum(-1, keepdim=True)) / len(f)
