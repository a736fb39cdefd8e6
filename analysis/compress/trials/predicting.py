"""The change of loss that changes of layers are expected to make, from a calibration alone.

To second order, in nats per predicted token, with ΔW_l = W_l - W_l' and the Fisher matrix in the
place of the Hessian (Martens 2014, https://arxiv.org/abs/1412.1193):

    Δloss ≈ Σ_l <E[∂L/∂W_l], -ΔW_l>  +  ½ E_t[(Σ_l g_l(t)ᵀ ΔW_l x_l(t))²]

The first is the slope of the loss by the true labels: a text that a model was not trained to the
end on has one. The second is over the tokens of the calibration's sample; see
`allocation/together.py` for how it is shared out among layers. A layer of which no tokens are known
adds ½‖A^½ ΔW G^½‖².
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.compress.pieces import Statistics


@dataclass(frozen=True, eq=False)
class Change:
    """What the change of one layer does to the loss, in nats per predicted token."""

    slope: float
    curvature: float  # of the layer alone
    sample: str = ""  # the name of the tokens of `z`
    z: Tensor | None = None  # (T,) float64


def change(lost: Tensor, known: Statistics | None) -> Change | None:
    """Return what taking `lost` = W - W' (m x n) from W does, None where no gradient is known."""
    if known is None or known.gradient is None:
        return None
    slope = first_order(lost, known)
    if known.sample is None:
        return Change(slope, factored(lost, known))
    z = known.sample.along(lost)
    return Change(slope, 0.5 * float(z.square().mean()), known.sample.name, z)


def predicted(changes: Mapping[str, Change]) -> dict[str, float]:
    """Return what each layer adds to the predicted change of loss: slope and share of curvature."""
    whole: dict[str, Tensor] = {}
    for one in changes.values():
        if one.z is not None:
            whole[one.sample] = whole.get(one.sample, torch.zeros_like(one.z)) + one.z
    return {
        layer: one.slope
        + (one.curvature if one.z is None else 0.5 * float((one.z * whole[one.sample]).mean()))
        for layer, one in changes.items()
    }


def factored(lost: Tensor, known: Statistics) -> float:
    """Return ½‖A^½ ΔW G^½‖² = ½ tr(A ΔW G ΔWᵀ), which takes x and g to be independent."""
    A = known.gradient
    if A is None:
        raise ValueError("expected gradients, got a calibration without")
    through = lost @ known.gram  # (m, n)
    if A.ndim == 2:
        return max(0.5 * float((A @ lost * through).sum()), 0.0)
    return max(0.5 * float((A * (lost * through).sum(1)).sum()), 0.0)


def first_order(lost: Tensor, known: Statistics) -> float:
    """Return <E[∂L/∂W], -ΔW>, 0 where no slope was measured."""
    return 0.0 if known.slope is None else -float((known.slope.double() * lost).sum())
