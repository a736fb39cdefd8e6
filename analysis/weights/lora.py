"""LoRA: the update s·BA of one module, from its two stored factors.

s = α/r, or α/√r (rank-stabilised), with α as the configuration gives it for the module. A Linear
stores (outputs, inputs) as BA has them; GPT-2's Conv1D and an embedding store (BA)ᵀ; a convolution
has A (r, inputs, k, k) and BA flattened.

Hu et al. (2022), https://arxiv.org/abs/2106.09685
Kalajdzievski (2023), https://arxiv.org/abs/2312.03732 (rank-stabilised)
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.weights.header import Stored
from analysis.weights.updates import Part, Update, sides
from analysis.weights.views import Span, View

# What turns the update into something else than s·BA of the stored factors.
VARIANTS = (
    "arrow_config", "kasa_config", "megatron_config", "monteclora_config", "use_bdlora",
    "use_dora", "use_qalora", "velora_config",
)  # fmt: skip
# Other ways to begin take something out of the base's own weights.
BEGINNINGS = {"gaussian", "eva", "orthogonal", "true", "false", "none"}
FACTOR = re.compile(r"\.lora_(?:embedding_)?(A|B)(?:\.default)?(?:\.weight)?$")


def is_plain(config: Mapping[str, Any]) -> bool:
    """Say whether an adapter's updates are s·BA of its factors; else PEFT must make them."""
    beginning = str(config.get("init_lora_weights", True)).lower()
    varied = any(config.get(name) for name in VARIANTS)
    return config.get("peft_type") == "LORA" and not varied and beginning in BEGINNINGS


def update(
    config: Mapping[str, Any], path: str, members: Sequence[Stored], weight: Stored, *,
    transposed: bool,
) -> Update | str:  # fmt: skip
    """Return the update of one module, or where it does not fit its weight the shape of its own."""
    factors = {m[1]: t for t in members if (m := FACTOR.search(t.name))}
    if set(factors) != {"A", "B"}:
        return "without both of its factors"
    B, A = factors["B"], factors["A"]
    shape = (B.shape[0], *A.shape[1:])
    shape = shape[::-1] if transposed else shape
    if shape != weight.shape or B.shape[1] != A.shape[0] or math.prod(B.shape[2:]) != 1:
        return sides(shape)
    alpha = _pattern(config.get("alpha_pattern"), path, config.get("lora_alpha", 8))
    rank = A.shape[0]
    scale = alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank
    return Update("low_rank", (Part.of(B), Part.of(A)), float(scale), transposed)


def views(update: Update, view: View) -> tuple[tuple[Part, View], tuple[Part, View]]:
    """Return the left and the right factor of what a view shows of the update."""
    B, A = update.parts
    outputs, inputs = view.spans[:1], view.spans[1:]
    if update.transposed:
        outputs, inputs = inputs, outputs
    # The factor whose index gives the rows stands on the left, as it is or transposed.
    straight = (view.row_axis == 0) != update.transposed
    axis = 0 if straight else 1
    of_B = View((*outputs, *map(Span.all, B.shape[1:])), axis)
    of_A = View((Span.all(A.shape[0]), *inputs), axis)
    return ((B, of_B), (A, of_A)) if straight else ((A, of_A), (B, of_B))


def _pattern(patterns: Mapping[str, float] | None, path: str, default: float) -> float:
    """Return the value of the first pattern that a module's path ends in, as PEFT matches it."""
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(?:.*\.)?(?:{pattern})$", path):
            return value
    return default
