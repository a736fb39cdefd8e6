"""Tensor train of a matrix, also called matrix product operator."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from analysis.compress.forms.base import Form, empty_bias, own


class TensorTrain(Form):
    """Cores G_s (χ_{s-1} x o_s x i_s x χ_s), where χ = 1 at both ends.

    W'[(o_1 ... o_S), (i_1 ... i_S)] = G_1[:, o_1, i_1] G_2[:, o_2, i_2] ... G_S[:, o_S, i_S]
    """

    kind = "tensor_train"

    def __init__(self, cores: list[Tensor], bias: Tensor | None = None) -> None:
        shapes = [tuple(core.shape) for core in cores]
        ends = [1, *(shape[-1] for shape in shapes)]
        if ends[-1] != 1 or any(s[0] != end for s, end in zip(shapes, ends, strict=False)):
            raise ValueError(f"expected cores whose bonds meet, got shapes {shapes}")
        rows, cols = (math.prod(shape[side] for shape in shapes) for side in (1, 2))
        super().__init__(rows, cols, bias)
        self.cores = nn.ParameterList([own(core) for core in cores])

    def forward(self, x: Tensor) -> Tensor:
        """Contract x with one core after another: W' is never formed."""
        leading = x.shape[:-1]
        z = x.reshape(
            math.prod(leading), 1, 1, self.in_features
        )  # (tokens, outputs so far, χ, inputs to come)
        for core in self.cores:
            inputs = core.shape[2]
            split = z.reshape(*z.shape[:3], inputs, z.shape[3] // inputs)
            z = torch.einsum("tocir,cpid->topdr", split, core).flatten(1, 2)
        return self.shifted(z.reshape(*leading, self.out_features))

    def dense(self) -> Tensor:
        """Return W'."""
        W: Tensor = self.cores[0][0]  # (outputs so far, inputs so far, χ)
        for core in list(self.cores)[1:]:
            rows, cols = W.shape[0] * core.shape[1], W.shape[1] * core.shape[2]
            W = torch.einsum("oic,cpjd->opijd", W, core).reshape(rows, cols, core.shape[3])
        return W[..., 0]

    def details(self) -> dict[str, Any]:
        """Return the shapes of the cores."""
        return {"cores": [list(core.shape) for core in self.cores]}

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "TensorTrain":
        """Return cores of zeros."""
        return cls([torch.zeros(shape) for shape in spec["cores"]], empty_bias(spec))
