"""The arithmetic of one token, from the shapes of a model's matrices."""

from collections.abc import Mapping, Sequence

from analysis.weights.facts import Facts
from analysis.weights.header import Stored
from analysis.weights.names import Name
from analysis.weights.skipping import is_head_too

UNITS = ((1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP"), (1e3, "kFLOP"))
# Outside the blocks' projections, yet passed by every token.
BESIDE = {"head", "head_transform", "router", "project_in", "project_out", "patch_embed"}


def flops_per_token(
    tensors: Sequence[Stored], names: Mapping[str, Name], facts: Facts, tied: Mapping[str, str]
) -> str | None:
    """Return 2·(entries of the matrices that one token passes), None without a configuration.

    These are the blocks' projections, of the experts the share that a token is given to, and the
    head (the embedding where both are tied). Attention scores are left out, as they grow with the
    text: 4·blocks·hidden·length more. None also where "a token" says too little: of several stacks
    a token passes some, and a convolution runs once a place.
    """
    stacks = {name.stack for name in names.values() if name.block is not None}
    convolutions = any(_is_convolution(t, names[t.name]) for t in tensors)
    if not facts.raw or convolutions or len(stacks) > 1:
        return None
    entries = sum(_entries(t, names[t.name], facts) for t in tensors if t.name not in tied)
    entries += _tied_head(tensors, names, facts)
    return _written(2 * entries) if entries else None


def _is_convolution(tensor: Stored, name: Name) -> bool:
    return len(tensor.shape) > 3 and name.module != "patch_embed" and "bias" not in tensor.name


def _entries(tensor: Stored, name: Name, facts: Facts) -> float:
    expert = name.expert is not None or len(tensor.shape) == 3
    passed = name.known and (name.block is not None and name.kind == "linear")
    if len(tensor.shape) < 2 or not (passed or name.module in BESIDE):
        return 0.0
    share = facts.chosen / facts.experts if expert and facts.chosen and facts.experts else 1.0
    return tensor.parameters * share


def _tied_head(tensors: Sequence[Stored], names: Mapping[str, Name], facts: Facts) -> int:
    if not is_head_too(facts):
        return 0
    return next((t.parameters for t in tensors if names[t.name].module == "embed"), 0)


def _written(flops: float) -> str:
    size, unit = next((u for u in UNITS if flops >= u[0]), (1.0, "FLOP"))
    return f"{flops / size:.3g} {unit}"
