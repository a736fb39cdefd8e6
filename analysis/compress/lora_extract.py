"""LoRA, extracted: what fine-tuning added to its base, as two factors per module.

ΔW = W_tuned - W_base, and ΔW_k its truncated singular value decomposition. Ranks are the same for
all modules, or directions are taken in the order of what each adds to ‖ΔW‖² per number that it
holds, up to a share of the numbers of those matrices that training changed. An adapter of another
type than LoRA has no factors to shrink, and is extracted too.

Hu et al. (2022), https://arxiv.org/abs/2106.09685
"""

from dataclasses import dataclass, field

from analysis.compress.lora.reduce import Reduced, extract_source
from analysis.compress.registry import register
from analysis.weights.source import Source


@dataclass(frozen=True)
class Params:
    """The rank of every module, or none: then the share of the changed matrices' numbers."""

    rank: int = field(
        default=0,
        metadata={
            "help": "of every module, at most; 0: by the share of the changed matrices' numbers",
            "min": 0,
        },
    )


@register(
    title="LoRA, extracted",
    paper="https://arxiv.org/abs/2106.09685",
    sizes="update",
    updates=("delta", "adapter"),
)
def lora_extract(source: Source, params: Params, kept: float | None) -> Reduced:
    """Return the difference of a fine-tuned model from its base as a LoRA."""
    return extract_source(source, rank=params.rank or None, kept=None if params.rank else kept)
