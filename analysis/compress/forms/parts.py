"""Several layers that a network keeps as one, such as q, k and v side by side."""

from typing import Any

import torch
from torch import Tensor, nn

from analysis.compress.forms.base import Form, build, dense_matrix, describe, empty_bias


class Parts(Form):
    """Forms or linear layers of one input whose outputs follow one another, in row order."""

    kind = "parts"

    def __init__(self, parts: list[nn.Module], bias: Tensor | None = None) -> None:
        specs = [describe(part) for part in parts]
        widths = {spec["in_features"] for spec in specs}
        if len(widths) != 1:
            raise ValueError(f"expected parts of one input, got inputs of {sorted(widths)}")
        super().__init__(sum(spec["out_features"] for spec in specs), widths.pop(), bias)
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of all parts; each adds its own bias."""
        return self.shifted(torch.cat([part(x) for part in self.parts], dim=-1))

    def dense(self) -> Tensor:
        """Return the matrices of all parts, stacked."""
        found = [dense_matrix(part) for part in self.parts]
        # A packed part gives float32 whatever the network computes in.
        return torch.cat([W.to(found[0].dtype) for W in found])

    def details(self) -> dict[str, Any]:
        """Return what the parts are."""
        return {"parts": [describe(part) for part in self.parts]}

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "Parts":
        """Return empty parts."""
        return cls([build(part) for part in spec["parts"]], empty_bias(spec))
