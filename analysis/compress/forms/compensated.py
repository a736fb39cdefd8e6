"""A form with a low-rank correction beside it: W' = form + B A."""

from typing import Any

import torch
from torch import Tensor, nn

from analysis.compress.forms.base import Form, build, dense_matrix, describe, own


class Compensated(Form):
    """`form` and the factors B (m x r) and A (r x n), r(m + n) numbers more.

    A bias of the form becomes that of the whole.
    """

    kind = "compensated"

    def __init__(self, form: nn.Module, B: Tensor, A: Tensor) -> None:
        spec = describe(form)
        shape = spec["out_features"], spec["in_features"]
        if (B.shape[0], A.shape[1]) != shape or B.shape[1] != A.shape[0]:
            raise ValueError(f"expected factors of {shape}, got {B.shape} and {A.shape}")
        super().__init__(*shape, form.get_parameter("bias") if spec["bias"] else None)
        form.register_parameter("bias", None)
        self.form = form
        self.A, self.B = own(A), own(B)

    def forward(self, x: Tensor) -> Tensor:
        """Return form(x) + B (A x)."""
        y: Tensor = self.form(x) + (x @ self.A.T) @ self.B.T
        return self.shifted(y)

    def dense(self) -> Tensor:
        """Return W' of the form and B A."""
        return dense_matrix(self.form).to(self.A.dtype) + self.B @ self.A

    def details(self) -> dict[str, Any]:
        """Return the rank of the correction and what it corrects."""
        return {"rank": self.A.shape[0], "form": describe(self.form)}

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "Compensated":
        """Return zeros around an empty form."""
        A = torch.zeros(spec["rank"], spec["in_features"])
        B = torch.zeros(spec["out_features"], spec["rank"])
        form = build(spec["form"] | {"bias": spec["bias"]})
        return cls(form, B, A)
