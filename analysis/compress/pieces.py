"""What a compression method is given: weight matrices with what a calibration found out of them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.registry import AnalysisError


class NonFiniteLayer(AnalysisError):  # noqa: N818  a finding, not a fault
    """A value of one layer, or what it computed, is NaN or infinite: its trial fails."""

    def __init__(self, layer: str, what: str) -> None:
        super().__init__(f"{layer}: {what} holds NaN or infinity, so the trial has no numbers")
        self.layer = layer
        self.what = what

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.layer, self.what)


@dataclass(frozen=True, eq=False)
class TokenSample:
    """What one layer reads at T tokens, and the gradients of the loss by what it gives there.

    A layer that is called C times in one pass has C rows for a token. With z = Σ_c g_cᵀ ΔW x_c,
    ½ E[z²] is the expected change of loss in nats per predicted token.
    """

    name: str  # of the tokens and the labels: layers with one name can be added up token by token
    X: Tensor  # (C, T, n) float32
    g: Tensor  # (C, T, m) float32

    def along(self, change: Tensor) -> Tensor:
        """Return z (T,) float64 for a change of W (m x n)."""
        by_input = self.g.to(torch.float64) @ change.to(torch.float64)
        return (by_input * self.X).sum((0, 2))


@dataclass(frozen=True, eq=False)
class Statistics:
    """What a calibration found out about the input and the output of one layer, all in float64.

    Layers that read the same input share `gram`, `mean_abs`, `heldout` and `sample.X`, the very
    tensors.
    """

    tokens: int  # N, those in `gram`
    gram: Tensor  # (n, n) Σ x xᵀ / N
    mean_abs: Tensor  # (n,) mean of |x_j|
    heldout: Tensor | None = None  # (n, n), of windows that are not in `gram`
    gradient: Tensor | None = None  # (m, m), (m,) or (1,): Σ g gᵀ by predicted tokens, see below
    squared: Tensor | None = None  # (n,) Σ_i E[(∂L/∂W_ij)²], one sequence at a time
    slope: Tensor | None = None  # (m, n) float32, E[∂L/∂W] by the true labels, nats per token
    sample: TokenSample | None = None  # of held-out windows where there are some

    # `gradient` is the covariance A of the output's gradients, whole, its diagonal, or its mean
    # eigenvalue, so that ½‖A^½ ΔW G^½‖² is the expected change of loss in nats per token at a
    # minimum of the loss. Elsewhere <slope, ΔW> comes to it: a text that a model was not trained to
    # the end on has a slope, and small changes of W feel it more than the curvature. Where there is
    # a `sample`, ½E[z²] takes the place of the first term: it does not factor the expectation.


@dataclass(frozen=True)
class Heads:
    """How attention splits: query heads, key/value heads, numbers per head."""

    query: int
    key_value: int
    size: int


@dataclass(frozen=True, eq=False)
class Piece:
    """One layer's matrix with its place in the model; `statistics` None where none were asked."""

    layer: str
    role: str  # "q", "k", "v", "o", "gate", "up", "down", or its own name
    block: int | None
    W: Tensor  # (m, n) out x in
    statistics: Statistics | None = None
    heads: Heads | None = None
