"""What each tensor is: its block, its module type and its expert, read from its name.

The tables below hold the words that the families use (Llama, Mistral, Qwen, Mixtral, GPT-2,
GPT-NeoX, OPT, BERT, DistilBERT, RoBERTa, ViT, T5, Falcon, BLOOM, Phi, ...). A name that no table
knows stays its own name, so every tensor works.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

BLOCK = re.compile(
    r"^(?P<stack>(?:.*?\.)?)(?:layers|layer|h|blocks|block|resblocks)\.(?P<block>\d{1,6})\.(?P<rest>.+)$"
)
GROUPS = {
    "cross": r"encoder_attn|crossattention(?:\.self)?|cross_attn|layer\.1\.EncDecAttention",
    "attention": r"self_attn|self_attention|attention(?:\.self|\.attention)?|attn(?:\.attention)?"
    r"|layer\.0\.SelfAttention",
    "expert": r"(?:mlp|block_sparse_moe|feed_forward)\.experts(?:\.(?P<expert>\d+))?",
    "shared": r"(?:mlp|feed_forward)\.shared_experts?",
    "mlp": r"mlp|ffn|feed_forward|block_sparse_moe|layer\.\d\.DenseReluDense",
}
MEMBER = {
    group: re.compile(rf"^(?:{pattern})\.(?P<leaf>[\w.]+)$") for group, pattern in GROUPS.items()
}


def _words(**table: str) -> dict[str, str]:
    return {word: module for module, words in table.items() for word in words.split()}


ATTENTION = _words(
    q="q_proj query q_lin q wq q_attn",
    k="k_proj key k_lin k wk",
    v="v_proj value v_lin v wv",
    o="o_proj out_proj out_lin o wo Wo dense c_proj proj output.dense",
    qkv="c_attn query_key_value qkv_proj qkv Wqkv in_proj_weight",
    q_a="q_a_proj",
    q_b="q_b_proj",
    kv_a="kv_a_proj_with_mqa",
    kv_b="kv_b_proj",
    position_bias="relative_attention_bias",
)
FEED_FORWARD = _words(
    gate="gate_proj w1 wi_0",
    up="up_proj c_fc fc1 fc_in dense_h_to_4h lin1 linear1 w3 wi_1 wi",
    down="down_proj c_proj fc2 fc_out dense_4h_to_h lin2 linear2 w2 wo",
    gate_up="gate_up_proj input_linear",
)
ROUTER = _words(router="gate router router.layer")
# Feed-forward layers that sit directly in the block.
DIRECT = _words(
    up="fc1 linear1 intermediate.dense",
    down="fc2 linear2 output.dense",
    shared_router="mlp.shared_expert_gate",
)
LEAVES = {
    "cross": {**ATTENTION, "c_attn": "kv"},
    "attention": ATTENTION,
    "expert": FEED_FORWARD,
    "shared": FEED_FORWARD,
    "mlp": {**FEED_FORWARD, **ROUTER, "output_linear": "down"},
}
PREFIX = {"cross": "cross_", "shared": "shared_"}

TOP = {
    "embed": r"embed_tokens|wte|embed_in|word_embeddings|tok_embeddings|token_embedding|shared",
    "position": r"wpe|embed_positions|position_embeddings?|pos_embed(?:ding)?|positional_embedding",
    "token_type": r"token_type_embeddings",
    "patch_embed": r"patch_embeddings\.projection|patch_embed\.proj|patch_embedding|conv_proj",
    "head_transform": r"cls\.predictions\.transform\.dense|vocab_transform|lm_head\.dense",
    "head": r"lm_head|head|embed_out|cls\.predictions\.decoder|lm_head\.decoder|vocab_projector",
    "next_sentence": r"cls\.seq_relationship",
    "pooler": r"pooler\.dense",
    "pre_classifier": r"pre_classifier|classifier\.dense",
    "classifier": r"classifier|classifier\.out_proj|score",
    "project_in": r"project_in",
    "project_out": r"project_out",
    "text_projection": r"text_projection",
    "visual_projection": r"visual_projection",
}
TOP_PATTERNS = [(module, re.compile(rf"^(?:.*\.)?(?:{words})$")) for module, words in TOP.items()]
FIRST = ("patch_embed", "embed", "position", "token_type", "project_in")
ORDER = [*FIRST, *dict.fromkeys(("q", "qkv", *ATTENTION.values(), "gate", *FEED_FORWARD.values()))]
EMBEDDINGS = {"embed", "position", "token_type", "position_bias"}
# Never what a low-rank method replaces: they are outside the blocks, or choose among experts.
OTHERS = {*TOP, "router", "shared_router"} - EMBEDDINGS


@dataclass(frozen=True)
class Name:
    """What one tensor is: `layer` is unique in its model but for the views of one tensor."""

    layer: str  # "blocks.3.v", "embed", or the own name without ".weight"
    module: str  # "v", "embed", or the own name (in a block: what follows its number)
    block: int | None = None
    expert: int | None = None
    stack: str = ""  # of an encoder beside a decoder: "encoder"
    known: bool = False  # whether a table knew it
    kernel: bool = False  # whether it is a convolution's, as `kernels` finds

    @property
    def kind(self) -> str:
        """Return "linear" for what low-rank methods may replace, else "embedding" or "other"."""
        module = self.module.removeprefix(f"{self.stack}.")
        if module in EMBEDDINGS:
            return "embedding"
        return "other" if module in OTHERS else "linear"


def name_tensors(names: Iterable[str]) -> dict[str, Name]:
    """Return what every tensor of a model is.

    Layers that would meet (two heads, say) take their tensors' own names. Where a model has
    several stacks of blocks, these carry their stack: "decoder.blocks.0.q", "decoder.q".
    """
    found = {name: _name(name) for name in names}
    short = _short_stacks({n.stack for n in found.values() if n.known and n.block is not None})
    found = {name: _in_stack(n, short.get(n.stack, "")) for name, n in found.items()}
    meetings = Counter((n.layer, n.expert) for n in found.values())
    return {
        name: n if meetings[n.layer, n.expert] == 1 else replace(n, layer=_apart(name, found))
        for name, n in found.items()
    }


def own(tensor: str) -> str:
    """Return a tensor's own name, without the `.weight` that almost every one ends in."""
    return tensor.removesuffix(".weight")


def is_conv_like(tensor: str) -> bool:
    """Say whether a three-dimensional weight is a one-dimensional convolution's, by its name."""
    return "conv" in tensor.lower() and tensor.endswith(".weight")


def reading_order(tensor: str, name: Name) -> tuple[Any, ...]:
    """Return a key that sorts a model as it runs: embeddings, blocks by number, the rest."""
    known = name.module.rpartition(".")[2]
    module = ORDER.index(known) if known in ORDER else len(ORDER)
    digits = [(int(p), "") if p.isdigit() else (0, p) for p in re.split(r"(\d+)", tensor)]
    if name.block is not None:
        return 1, name.stack, name.block, module, name.expert or 0, digits
    return (0 if name.known and known in FIRST else 2), "", 0, module, 0, digits


def _apart(tensor: str, others: Mapping[str, Name]) -> str:
    """Return the own name of a tensor, its whole name where another tensor has that one."""
    return tensor if own(tensor) != tensor and own(tensor) in others else own(tensor)


def _name(tensor: str) -> Name:
    stem = own(tensor)
    match = BLOCK.match(stem)
    if match is None:
        return _top(stem)
    stack, block, rest = match["stack"].rstrip("."), int(match["block"]), match["rest"]
    module, expert = _member(rest)
    if module:
        return Name(f"blocks.{block}.{module}", module, block, expert, stack, known=True)
    return Name(stem, rest, block, stack=stack)


def _top(stem: str) -> Name:
    for module, pattern in TOP_PATTERNS:
        if pattern.match(stem):
            return Name(module, module, known=True)
    return Name(stem, stem)


def _member(rest: str) -> tuple[str, int | None]:
    """Return the module type and the expert of what follows a block's number; "" if unknown."""
    if rest in DIRECT:
        return DIRECT[rest], None
    for group, pattern in MEMBER.items():
        match = pattern.match(rest)
        if match and match["leaf"] in LEAVES[group]:
            expert = match.groupdict().get("expert")
            module = PREFIX.get(group, "") + LEAVES[group][match["leaf"]]
            return module, int(expert) if expert else None
    return "", None


def _in_stack(name: Name, stack: str) -> Name:
    if name.block is None or not stack:
        return replace(name, stack="")
    layer = f"{stack}.{name.layer}" if name.known else name.layer
    return replace(name, layer=layer, module=f"{stack}.{name.module}", stack=stack)


def _short_stacks(stacks: set[str]) -> dict[str, str]:
    """Return each stack's name without the parts that all of them begin or end with."""
    if len(stacks) < 2:
        return {}
    parts = {stack: stack.split(".") for stack in stacks}
    while len({p[0] if p else "" for p in parts.values()}) == 1:
        parts = {stack: p[1:] for stack, p in parts.items()}
    while len({p[-1] if p else "" for p in parts.values()}) == 1:
        parts = {stack: p[:-1] for stack, p in parts.items()}
    return {stack: ".".join(p) for stack, p in parts.items()}
