"""Freezing a transformers model at one window: which of its modules make which piece.

Patterns, streams and outputs are recorded from one pass of the model's own classes; each block's
variances and ratios are then formed from its recorded input. What is read of a family is its module
names and the order of norms; `Span.incompleteness` shows whether that is right.

Where a gate multiplies two functions of the stream (SwiGLU, phi(g) u), the frozen ratio can go on
either path, and T depends on which: "up" keeps phi(g) on the path of u, "gate" keeps u phi(g)/g on
that of g, "half" takes half of each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from analysis.networks.errors import NotRunnable
from analysis.networks.lens.frozen import (
    Attention,
    Frozen,
    Linear,
    Norm,
    Paths,
    Piece,
    Pieces,
    Scale,
    residual,
    run,
)

GATINGS = ("up", "gate", "half")
Recorded = dict[nn.Module, Tensor]  # what entered a module, (L, n)


@dataclass(frozen=True)
class Family:
    """Where a family keeps its blocks and norms, and how one block is frozen at its input."""

    blocks: str
    block: Callable[[Any, Tensor, Tensor, str], Pieces]
    stem: str = ""
    final: str = ""


def freeze(network: nn.Module, ids: Tensor, gating: str = "up") -> Frozen:
    """Return the model frozen at one window of token ids, (L,).

    The network needs eager attention and evaluation mode. Raises NotRunnable for a family whose
    blocks are not known here, and for an activation that is not 0 at 0.
    """
    if gating not in GATINGS:
        raise ValueError(f"expected a gating of {GATINGS}, got {gating!r}")
    family, base = family_of(network), _base(network)
    blocks = list(base.get_submodule(family.blocks))
    stem, final = (base.get_submodule(n) if n else None for n in (family.stem, family.final))
    entering = [stem, *blocks[1:]] if stem is not None else blocks
    entered, output = _recorded(network, ids, [*entering, *([final] if final is not None else [])])
    hidden = output.hidden_states[-1][0]
    last = hidden if final is None else entered[final]
    streams = (*(entered[module] for module in entering), last)
    patterns = tuple(pattern[0] for pattern in output.attentions)
    stems = () if stem is None else (_norm(stem, streams[0]),)
    inputs = (run(stems, streams[0], biased=True), *streams[1:-1])
    head, readout = _head(network, hidden)
    logits = _logits(output) if head else None
    return Frozen(
        stem=stems,
        blocks=tuple(
            family.block(block, x, pattern, gating)
            for block, x, pattern in zip(blocks, inputs, patterns, strict=True)
        ),
        final=() if final is None else (_norm(final, last),),
        head=head,
        streams=streams,
        hidden=hidden,
        logits=logits,
        readout=readout,
        patterns=patterns,
        causal=family.block is not _bert_block,
        gated=family.block is _llama_block,
    )


def family_of(network: nn.Module) -> Family:
    """Return how the network is frozen. Raises NotRunnable when it is of no known family."""
    config = getattr(network, "config", None)
    return family_named(str(getattr(config, "model_type", "")), type(network).__name__)


def family_named(model_type: str, called: str) -> Family:
    """Return the family of a configuration's model type. Raises NotRunnable for an unknown one."""
    if model_type not in FAMILIES:
        raise NotRunnable(
            f"{called} cannot be frozen here, for only the blocks of {', '.join(FAMILIES)} are "
            "known: choose a model of one of these families"
        )
    return FAMILIES[model_type]


def _base(network: Any) -> Any:
    """Return the model without its head."""
    return network.base_model


def _recorded(
    network: nn.Module, ids: Tensor, modules: Sequence[nn.Module]
) -> tuple[Recorded, Any]:
    """Return what entered each module in one pass over the window, and the model's output."""
    entered: Recorded = {}

    def keep(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        entered[module] = (args[0] if args else kwargs["hidden_states"])[0].detach()

    hooks = [module.register_forward_pre_hook(keep, with_kwargs=True) for module in modules]
    try:
        with torch.no_grad():
            output = network(
                input_ids=ids[None],
                output_attentions=True,
                output_hidden_states=True,
                use_cache=False,
            )
    finally:
        for hook in hooks:
            hook.remove()
    return entered, output


def _logits(output: Any) -> Tensor:
    found = output.get("prediction_logits", output.get("logits"))
    return found.reshape(-1, found.shape[-1]).detach()  # type: ignore[no-any-return]


def _head(network: Any, hidden: Tensor) -> tuple[Pieces, int | None]:
    """Return the pieces from final hidden states to logits, and which token a classifier reads."""
    if hasattr(network, "lm_head"):
        return (_linear(network.lm_head),), None
    if hasattr(network, "score"):
        return (_linear(network.score),), len(hidden) - 1
    if hasattr(network, "classifier"):
        pooler = network.base_model.pooler
        pooled = _activated(pooler.dense, pooler.activation, hidden[:1])
        return (*pooled, _linear(network.classifier)), 0
    if hasattr(network, "cls"):
        head = network.cls.predictions
        bent = _activated(head.transform.dense, head.transform.transform_act_fn, hidden)
        norm = _norm(head.transform.LayerNorm, run(bent, hidden, biased=True))
        return (*bent, norm, _linear(head.decoder)), None
    return (), None


def _llama_block(block: Any, x: Tensor, pattern: Tensor, gating: str) -> Pieces:
    attention = Attention(pattern, _linear(block.self_attn.v_proj), _linear(block.self_attn.o_proj))
    mixing = residual(_norm(block.input_layernorm, x), attention)
    x = mixing(x, biased=True)
    norm = _norm(block.post_attention_layernorm, x)
    return mixing, residual(norm, *_gated(block.mlp, norm(x, biased=True), gating))


def _gpt2_block(block: Any, x: Tensor, pattern: Tensor, gating: str) -> Pieces:
    _, _, value = _split(_linear(block.attn.c_attn), 3)
    attention = Attention(pattern, value, _linear(block.attn.c_proj))
    mixing = residual(_norm(block.ln_1, x), attention)
    x = mixing(x, biased=True)
    norm = _norm(block.ln_2, x)
    bent = _activated(block.mlp.c_fc, block.mlp.act, norm(x, biased=True))
    return mixing, residual(norm, *bent, _linear(block.mlp.c_proj))


def _bert_block(block: Any, x: Tensor, pattern: Tensor, gating: str) -> Pieces:
    after = block.attention.output
    mixing = residual(Attention(pattern, _linear(block.attention.self.value), _linear(after.dense)))
    x = mixing(x, biased=True)
    first = _norm(after.LayerNorm, x)
    x = first(x, biased=True)
    bent = _activated(block.intermediate.dense, block.intermediate.intermediate_act_fn, x)
    feeding = residual(*bent, _linear(block.output.dense))
    return mixing, first, feeding, _norm(block.output.LayerNorm, feeding(x, biased=True))


GATED = Family("layers", _llama_block, final="norm")
FAMILIES = {
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3"), GATED),
    "gpt2": Family("h", _gpt2_block, final="ln_f"),
    "bert": Family("encoder.layer", _bert_block, stem="embeddings.LayerNorm"),
}


def _linear(module: Any) -> Linear:
    """Return a Linear, or a Conv1D, which keeps its weight transposed."""
    weight = module.weight.detach()
    bias = None if module.bias is None else module.bias.detach()
    return Linear(weight if isinstance(module, nn.Linear) else weight.T, bias)


def _split(fused: Linear, parts: int) -> list[Linear]:
    assert fused.bias is not None
    weights, biases = fused.weight.chunk(parts), fused.bias.chunk(parts)
    return [Linear(W, b) for W, b in zip(weights, biases, strict=True)]


def _norm(module: Any, x: Tensor) -> Norm:
    """Return a LayerNorm or RMSNorm with the variance it has at x (L, D)."""
    centred = isinstance(module, nn.LayerNorm)
    eps = module.eps if centred else module.variance_epsilon
    spread = x.var(-1, correction=0, keepdim=True) if centred else x.square().mean(-1, True)
    bias = module.bias.detach() if centred and module.bias is not None else None
    return Norm(module.weight.detach(), bias, torch.rsqrt(spread + eps), centred)


def _activated(module: Any, activation: Callable[[Tensor], Tensor], x: Tensor) -> Pieces:
    """Return a linear layer and its activation at x (L, D)."""
    linear = _linear(module)
    return linear, Scale(ratio(activation, linear(x, biased=True)))


def _gated(mlp: Any, x: Tensor, gating: str) -> Pieces:
    """Return a gated feed-forward layer at x (L, D), its ratio where `gating` puts it."""
    gate, up = _linear(mlp.gate_proj), _linear(mlp.up_proj)
    g, u = gate(x, biased=True), up(x, biased=True)
    share = {"up": (1.0, 0.0), "gate": (0.0, 1.0), "half": (0.5, 0.5)}[gating]
    scaled: tuple[tuple[float, tuple[Piece, Piece]], ...] = (
        (share[0], (up, Scale(share[0] * mlp.act_fn(g).detach()))),
        (share[1], (gate, Scale(share[1] * u * ratio(mlp.act_fn, g)))),
    )
    return Paths(tuple(path for part, path in scaled if part)), _linear(mlp.down_proj)


def ratio(activation: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """Return phi(z)/z, and its limit phi'(0) where z is 0.

    Raises NotRunnable where phi(0) is not 0: such an activation is no multiple of its input.
    """
    with torch.enable_grad():
        zero = z.new_zeros(()).requires_grad_()
        value = activation(zero)
        [slope] = torch.autograd.grad(value, zero)
    if value.item() != 0:
        raise NotRunnable(
            f"the activation is {value.item():g} at 0 and so no multiple of its input: "
            "only activations with phi(0) = 0 can be frozen"
        )
    small = z.abs() < torch.finfo(z.dtype).tiny  # a quotient of such numbers has no digits
    with torch.no_grad():
        return torch.where(small, slope, activation(z) / torch.where(small, 1.0, z))
