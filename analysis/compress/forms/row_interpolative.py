"""Row-interpolative form: k rows of W', and what makes the others of them."""

from typing import Any

import torch
from torch import Tensor

from analysis.compress.forms.base import Form, empty_bias, own


class RowInterpolative(Form):
    """R (k x n) is the rows `pivots` of W', C R with C ((m - k) x k) the others, in order.

    k(m + n - k) numbers, never above mn, and k indices.
    """

    kind = "row_interpolative"
    pivots: Tensor

    def __init__(self, R: Tensor, C: Tensor, pivots: Tensor, bias: Tensor | None = None) -> None:
        rank = len(pivots)
        if R.shape[0] != rank or C.shape[1] != rank:
            shapes = f"{R.shape}, {C.shape} and {pivots.shape}"
            raise ValueError(f"expected R (k x n), C ((m - k) x k) and k pivots, got {shapes}")
        super().__init__(rank + C.shape[0], R.shape[1], bias)
        self.R, self.C = own(R), own(C)
        self.register_buffer("pivots", pivots.to(torch.int32))

    @classmethod
    def of(cls, B: Tensor, A: Tensor, bias: Tensor | None = None) -> "RowInterpolative":
        """Return B A with B (m x k) and A (k x n), in A's dtype."""
        import importlib

        # By its name, since an exported model has this file without the package around it.
        numerics = importlib.import_module("analysis.numerics.row_interpolation")
        R, C, pivots = numerics.row_interpolation(B, A)
        return cls(R.to(A.dtype), C.to(A.dtype), pivots, bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the k rows' outputs and those that are made of them, each in its place."""
        chosen = x @ self.R.T
        return self.shifted(self._placed(torch.cat((chosen, chosen @ self.C.T), dim=-1)))

    def dense(self) -> Tensor:
        """Return W'."""
        return self._placed(torch.cat((self.R, self.C @ self.R)).T).T

    def largest(self) -> float:
        """Return max |C|, by which rounding errors of the rows may grow."""
        return self.C.abs().max().item() if self.C.numel() else 0.0

    def _placed(self, values: Tensor) -> Tensor:
        """Put the last dimension, the chosen rows and then the others, into the rows' order."""
        pivots = self.pivots.long()
        other = torch.ones(self.out_features, dtype=torch.bool, device=pivots.device)
        other[pivots] = False
        found = torch.cat((pivots, other.nonzero()[:, 0]))
        return values[..., found.argsort()]

    def details(self) -> dict[str, Any]:
        """Return the rank."""
        return {"rank": self.R.shape[0]}

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "RowInterpolative":
        """Return zeros, with the first k rows as pivots."""
        rank, rows = spec["rank"], spec["out_features"]
        C, R = torch.zeros(rows - rank, rank), torch.zeros(rank, spec["in_features"])
        return cls(R, C, torch.arange(rank), empty_bias(spec))
