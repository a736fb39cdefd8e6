"""Two factors: W' = B A."""

from typing import Any

import torch
from torch import Tensor

from analysis.compress.forms.base import Form, empty_bias, own


class TwoFactor(Form):
    """A (k x n) and B (m x k), k(m + n) numbers."""

    kind = "two_factor"

    def __init__(self, A: Tensor, B: Tensor, bias: Tensor | None = None) -> None:
        if A.shape[0] != B.shape[1]:
            raise ValueError(f"expected A (k x n) and B (m x k), got {A.shape} and {B.shape}")
        super().__init__(B.shape[0], A.shape[1], bias)
        self.A, self.B = own(A), own(B)

    def forward(self, x: Tensor) -> Tensor:
        """Return B (A x) + b."""
        return self.shifted((x @ self.A.T) @ self.B.T)

    def dense(self) -> Tensor:
        """Return B A."""
        return self.B @ self.A

    def details(self) -> dict[str, Any]:
        """Return the rank."""
        return {"rank": self.A.shape[0]}

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "TwoFactor":
        """Return factors of zeros."""
        A = torch.zeros(spec["rank"], spec["in_features"])
        return cls(A, torch.zeros(spec["out_features"], spec["rank"]), empty_bias(spec))
