"""LoRA, shrunk: the best update of lower rank than an adapter has, from its factors alone.

With B = QR and Aᵀ = PS, ΔW = BA = Q (R Sᵀ) Pᵀ, so the singular values of ΔW (m x n) are those of
R Sᵀ (r x r): the product is never formed. Ranks are the same for all modules, or as many as a share
of the adapter's numbers pays for, spent by a rule of `lora/budget.py`. Modules that are not chosen
keep theirs.

Hu et al. (2022), https://arxiv.org/abs/2106.09685
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from analysis.compress.lora.budget import RULES
from analysis.compress.lora.reduce import Reduced, shrink_source
from analysis.compress.registry import register
from analysis.weights.source import Source


@dataclass(frozen=True)
class Params:
    """The rank of every module, or none: then how the share of the adapter's numbers is spent."""

    rank: int = field(
        default=0,
        metadata={"help": "of every module, at most; 0: by the share of its numbers", "min": 0},
    )
    budget: str = field(
        default="uniform",
        metadata={
            "help": "how the share is spent where no rank is given: one rank for all modules "
            "(uniform), or by energy, relative to each module's own update or of all in total",
            "choices": RULES,
        },
    )


@register(
    title="LoRA, shrunk",
    paper="https://arxiv.org/abs/2106.09685",
    sizes="update",
    version=2,
    sized_by="rank",
    updates=("adapter",),
)
def lora_shrink(
    source: Source, params: Params, kept: float | None, layers: Collection[str] | None
) -> Reduced:
    """Return an adapter's update at a lower rank, or with a share of its own numbers."""
    share = None if params.rank else kept
    return shrink_source(source, params.rank or None, share, rule=params.budget, layers=layers)
