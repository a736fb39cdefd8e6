"""How each architecture joins several projections in one tensor.

GPT-2 stores c_attn transposed and joins q, k, v one after the other; GPT-NeoX and BLOOM interleave
q, k, v head by head; Falcon joins the queries of a group with its key and value; Phi-3 joins all
queries, all keys, all values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from analysis.weights.facts import Facts
from analysis.weights.header import Stored
from analysis.weights.names import Name
from analysis.weights.views import Span

# Model types, by how they join.
PER_GROUP = {"gpt_neox", "gpt_neox_japanese", "bloom", "falcon"}
JOINED = {"phi3", "glm", "glm4", "gpt2", "mpt", "modernbert"}
JOINED_WORDS = ("in_proj_weight", ".qkv.weight", ".Wqkv.weight")
GATE_THEN_UP = {"phi3", "glm", "glm4"}
ALTERNATING_EXPERTS = {"gpt_oss"}
TRANSPOSED_EXPERTS = {"llama4", "llama4_text"}
CONV1D = (["c_attn"], ["c_proj"], ["c_fc"], ["q_attn"])
PARTS = {
    "qkv": ["q", "k", "v"],
    "cross_kv": ["cross_k", "cross_v"],
    "gate_up": ["gate", "up"],
    "shared_gate_up": ["shared_gate", "shared_up"],
}


@dataclass(frozen=True)
class Layout:
    """What splitting needs beside a tensor's own shape."""

    facts: Facts
    conv1d: bool = False  # GPT-2's Conv1D: (inputs, outputs)
    experts_transposed: bool | None = None  # (expert, inputs, outputs); None: cannot be told


def layout_of(tensors: Sequence[Stored], names: Mapping[str, Name], facts: Facts) -> Layout:
    """Return how a model stores its projections, read from shapes that admit one answer only."""
    conv1d = any(
        t.name.endswith("attn.c_attn.weight") and len(t.shape) == 2 and t.shape[1] == 3 * t.shape[0]
        for t in tensors
    )
    experts = {names[t.name].module: t.shape for t in tensors if len(t.shape) == 3}
    return Layout(facts, conv1d, _experts_transposed(experts))


def _experts_transposed(experts: Mapping[str, tuple[int, ...]]) -> bool | None:
    """Tell from gate_up (E, 2I, H) beside down (E, H, I), or both transposed."""
    joined, down = experts.get("gate_up"), experts.get("down")
    if not joined or not down:
        return None
    return joined[2] == 2 * down[1]


def parts_of(module: str) -> list[str]:
    """Return the modules that a fused one joins, [] for any other; a stack stays in front."""
    stack, _, joined = module.rpartition(".")
    return [f"{stack}.{part}" if stack else part for part in PARTS.get(joined, [])]


def part_spans(stored: Stored, name: Name, layout: Layout) -> list[Span]:
    """Return the outputs of each part of a matrix, [] when nothing is fused or it is not known."""
    parts = parts_of(name.module)
    size = stored.shape[1] if is_conv1d(stored, layout) else stored.shape[0]
    if len(parts) == 2:
        known = layout.facts.model_type in GATE_THEN_UP or parts[0].endswith("cross_k")
        return consecutive([size // 2] * 2, size) if known and size % 2 == 0 else []
    if layout.facts.model_type in PER_GROUP:
        return _interleaved(layout.facts, size) if parts else []
    return _joined(stored, layout, size) if parts else []


def expert_spans(layout: Layout, size: int) -> list[Span]:
    """Return the outputs of gate and up of one expert, [] when their order is not known."""
    if layout.facts.model_type in ALTERNATING_EXPERTS:
        return [Span(0, 1, 2, size), Span(1, 2, 2, size)]
    told = layout.experts_transposed is False or layout.facts.model_type in TRANSPOSED_EXPERTS
    return consecutive([size // 2] * 2, size) if told and size % 2 == 0 else []


def is_conv1d(stored: Stored, layout: Layout) -> bool:
    """Say whether a matrix is stored as (inputs, outputs)."""
    return layout.conv1d and stored.name.split(".")[-2:-1] in CONV1D


def consecutive(widths: list[int], size: int) -> list[Span]:
    """Return contiguous spans of these widths, one after the other."""
    edges = [sum(widths[:i]) for i in range(len(widths) + 1)]
    return [Span(a, b, size, size) for a, b in pairwise(edges)]


def _interleaved(facts: Facts, size: int) -> list[Span]:
    """Return q, k, v of groups that each join their query heads, one key and one value head."""
    if not facts.heads or not facts.groups or not facts.head_dim:
        return []
    # One group is Falcon's single key/value head after all queries; as many groups as heads is
    # GPT-NeoX's and BLOOM's interleaving head by head.
    width, queries = facts.head_dim, facts.heads // facts.groups
    period = (queries + 2) * width
    if facts.groups * period != size:
        return []
    edges = [0, queries * width, (queries + 1) * width, period]
    return [Span(a, b, period, size) for a, b in pairwise(edges)]


def _joined(stored: Stored, layout: Layout, size: int) -> list[Span]:
    """Return q, k, v that follow one another whole."""
    facts = layout.facts
    if facts.heads and facts.groups and facts.head_dim and facts.model_type in JOINED:
        widths = [n * facts.head_dim for n in (facts.heads, facts.groups, facts.groups)]
        return consecutive(widths, size) if sum(widths) == size else []
    plain = layout.conv1d or stored.name.endswith(JOINED_WORDS)
    return consecutive([size // 3] * 3, size) if plain and size % 3 == 0 else []
