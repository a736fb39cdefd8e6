"""Products of a loss's Hessian and of its two parts with vectors, without the Hessian.

For a loss L(f(θ)) with p parameters θ, outputs f and their Jacobian J:

    H = H_O + H_F,   H_O = Jᵀ (d²L/df²) J   (outer product, Gauss-Newton),
                     H_F = Σ_k (dL/df_k) d²f_k/dθ²   (functional).

With G(θ, u) = Jᵀu at u = dL/df, one backward pass through <G, v> gives both H_F v (towards θ) and
J v (towards u); a second one gives H_O v. Pearlmutter (1994), https://doi.org/10.1162/neco.1994.6.1.147
Singh, Bachmann and Hofmann (2021), https://arxiv.org/abs/2106.16225
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from analysis.numerics.hessian.losses import Loss


class HessianProducts:
    """The Hessian of `loss(f)` with respect to `leaves`, flattened and joined in their order."""

    def __init__(self, f: Tensor, leaves: Sequence[Tensor], loss: Loss) -> None:
        self.size = sum(leaf.numel() for leaf in leaves)
        self.like = leaves[0]  # dtype and device of vectors
        self._f, self._leaves, self._loss = f, list(leaves), loss
        self._fixed = f.detach()
        self.value = float(loss.value(self._fixed))
        self._u = loss.gradient(self._fixed).requires_grad_(True)
        self.depends = f.requires_grad  # else f is the same for all parameters, and H is zero
        if self.depends:
            self._pulled = _backward([f], self._leaves, [self._u], again=True)

    def parts(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return H_O v and H_F v, each (p,), for v (p,)."""
        if not self.depends:
            return torch.zeros_like(v), torch.zeros_like(v)
        *bent, pushed = _backward(self._pulled, [*self._leaves, self._u], self._pieces(v))
        weighed = self._loss.second(self._fixed, pushed)
        return _joined(_backward([self._f], self._leaves, [weighed])), _joined(bent)

    def __call__(self, v: Tensor) -> Tensor:
        """Return H v, (p,)."""
        outer, functional = self.parts(v)
        return outer + functional

    def outer(self, v: Tensor) -> Tensor:
        """Return H_O v, (p,)."""
        return self.parts(v)[0]

    def functional(self, v: Tensor) -> Tensor:
        """Return H_F v, (p,)."""
        return self.parts(v)[1]

    def residual(self, v: Tensor) -> float | None:
        """Return ‖Hv - H_O v - H_F v‖/‖Hv‖, H v by differentiating the loss; None where Hv = 0."""
        if not self.depends:
            return None
        loss = self._loss.value(self._f)
        slopes = _backward([loss], self._leaves, [torch.ones_like(loss)], again=True)
        direct = _joined(_backward(slopes, self._leaves, self._pieces(v)))
        size = float(direct.norm())
        return float((direct - self(v)).norm()) / size if size else None

    def _pieces(self, v: Tensor) -> list[Tensor]:
        pieces = v.split_with_sizes([leaf.numel() for leaf in self._leaves])
        return [piece.view_as(leaf) for piece, leaf in zip(pieces, self._leaves, strict=True)]


def _backward(
    of: Sequence[Tensor],
    towards: Sequence[Tensor],
    weights: Sequence[Tensor],
    *,
    again: bool = False,
) -> tuple[Tensor, ...]:
    """Return Jᵀ weights, zeros where nothing leads; `again`: to be differentiated itself."""
    led = [(o, w) for o, w in zip(of, weights, strict=True) if o.requires_grad]
    return torch.autograd.grad(
        [o for o, _ in led],
        towards,
        [w for _, w in led],
        create_graph=again,
        retain_graph=True,
        materialize_grads=True,
    )


def _joined(pieces: Sequence[Tensor]) -> Tensor:
    return torch.cat([piece.reshape(-1) for piece in pieces])
