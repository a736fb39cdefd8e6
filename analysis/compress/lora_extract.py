"""LoRA, extracted: what fine-tuning added to its base, as two factors per module.

ΔW = W_tuned - W_base, and ΔW_k its truncated singular value decomposition. Ranks are the same for
all modules, or as many as a share of the numbers of those matrices pays for that training changed,
spent by a rule of `lora/budget.py`. An adapter of another type than LoRA has no factors to shrink,
and is extracted too.

Hu et al. (2022), https://arxiv.org/abs/2106.09685
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from analysis.compress.lora.budget import RULES
from analysis.compress.lora.reduce import Reduced, extract_source
from analysis.compress.registry import register
from analysis.weights.source import Source


@dataclass(frozen=True)
class Params:
    """The rank of every module, or none: then how a share of the changed matrices is spent."""

    rank: int = field(
        default=0,
        metadata={
            "help": "of every module, at most; 0: by the share of the changed matrices' numbers",
            "min": 0,
        },
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
    title="LoRA, extracted",
    paper="https://arxiv.org/abs/2106.09685",
    sizes="update",
    version=2,
    sized_by="rank",
    updates=("delta", "adapter"),
)
def lora_extract(
    source: Source, params: Params, kept: float | None, layers: Collection[str] | None
) -> Reduced:
    """Return the difference of a fine-tuned model from its base as a LoRA."""
    share = None if params.rank else kept
    return extract_source(source, params.rank or None, share, rule=params.budget, layers=layers)
