"""A dense matrix again, changed but no smaller."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from analysis.compress.forms.base import Form, empty_bias, own


class Merged(Form):
    """W' itself, mn numbers."""

    kind = "merged"

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__(weight.shape[0], weight.shape[1], bias)
        self.weight = own(weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return W' x + b."""
        return functional.linear(x, self.weight, self.bias)

    def dense(self) -> Tensor:
        """Return W'."""
        return self.weight

    def details(self) -> dict[str, Any]:
        """Return nothing more."""
        return {}

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "Merged":
        """Return zeros."""
        return cls(torch.zeros(spec["out_features"], spec["in_features"]), empty_bias(spec))
