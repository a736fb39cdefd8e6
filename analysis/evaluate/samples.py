"""What both models say after a prompt, each time the most likely token."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from analysis.compress.pieces import NonFiniteLayer
from analysis.evaluate.nats import evaluating
from analysis.evaluate.non_finite import layers_named, non_finite
from analysis.networks.errors import BadInput, NotRunnable
from analysis.networks.opened import OpenedModel
from analysis.networks.positions import positions


@dataclass(frozen=True)
class Samples:
    """Continuations of one prompt."""

    prompt: str
    dense: str
    trial: str
    agreed: int  # tokens before the two part

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)


def samples(
    opened: OpenedModel, dense: nn.Module, trial: nn.Module, prompt: str, tokens: int = 40
) -> Samples:
    """Return how both networks continue a prompt, up to `tokens` tokens or the end of text.

    Raises NotRunnable for a model that is not causal, BadInput for a prompt that fills all
    positions or holds nothing, and NonFiniteLayer.
    """
    if opened.task != "causal":
        raise NotRunnable(f"{opened.name} is not causal, so it continues no text")
    tokenizer = opened.tokenizer()
    bos = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    start = [*bos, *tokenizer(prompt, add_special_tokens=False, verbose=False)["input_ids"]]
    most = positions(opened.config.to_dict())
    if not start or (most is not None and len(start) >= most):
        raise BadInput(
            f"the prompt has {len(start)} tokens for {opened.name}: give 1 to {(most or 2) - 1}"
        )
    room = tokens if most is None else min(tokens, most - len(start))
    with layers_named(opened):
        first, second = (
            _continued(network, start, room, tokenizer.eos_token_id) for network in (dense, trial)
        )
    parted = (i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
    agreed = next(parted, min(len(first), len(second)))
    return Samples(prompt, tokenizer.decode(first), tokenizer.decode(second), agreed)


def _continued(network: nn.Module, start: list[int], tokens: int, end: int | None) -> list[int]:
    ids = torch.tensor([start], device=next(network.parameters()).device)
    found: list[int] = []
    given, past = ids, None
    with evaluating(network), torch.inference_mode():
        while len(found) < tokens:
            output = network(input_ids=given, past_key_values=past, use_cache=True)
            logits: Tensor = output.logits[0, -1]
            if not logits.isfinite().all():
                raise _spoiled(network, torch.tensor([[*start, *found]], device=ids.device))
            best = int(logits.argmax())
            if best == end:
                break
            found.append(best)
            given, past = ids.new_tensor([[best]]), output.past_key_values
    return found


def _spoiled(network: nn.Module, ids: Tensor) -> NonFiniteLayer:
    return non_finite(network, lambda: network(input_ids=ids))
