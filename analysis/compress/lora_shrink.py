"""LoRA, shrunk: the best update of lower rank than an adapter has, from its factors alone.

With B = QR and Aᵀ = PS, ΔW = BA = Q (R Sᵀ) Pᵀ, so the singular values of ΔW (m x n) are those of
R Sᵀ (r x r): the product is never formed. Ranks are the same for all modules, or directions are
taken in the order of what each adds to ‖ΔW‖² per number that it holds.

Hu et al. (2022), https://arxiv.org/abs/2106.09685
"""

from dataclasses import dataclass, field

from analysis.compress.lora.reduce import Reduced, shrink_source
from analysis.compress.registry import register
from analysis.weights.source import Source


@dataclass(frozen=True)
class Params:
    """The rank of every module, or none: then the share of the adapter's numbers that is kept."""

    rank: int = field(
        default=0,
        metadata={"help": "of every module, at most; 0: by the share of its numbers", "min": 0},
    )


@register(
    title="LoRA, shrunk",
    paper="https://arxiv.org/abs/2106.09685",
    sizes="update",
    updates=("adapter",),
)
def lora_shrink(source: Source, params: Params, kept: float | None) -> Reduced:
    """Return an adapter's update at a lower rank, or with a share of its own numbers."""
    return shrink_source(source, rank=params.rank or None, kept=None if params.rank else kept)
