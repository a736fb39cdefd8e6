"""Which token's output is explained, and which of its logits."""

import json
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from analysis.networks.errors import BadInput
from analysis.networks.frozen import Frozen
from analysis.networks.inputs import Inputs


def position_of(frozen: Frozen, asked: int | None) -> int:
    """Return the target position: the one a classifier reads, the one asked for, or the last.

    An encoder's last token is the closing one: there it is the last before. Raises BadInput for a
    position outside of the window.
    """
    length = len(frozen.hidden)
    if frozen.readout is not None:
        return frozen.readout
    if asked is None:
        return length - (1 if frozen.causal else 2)
    if asked >= length:
        raise BadInput(
            f"position {asked} is outside of a window of {length} tokens: choose one below {length}"
        )
    return asked


def tokens_of(frozen: Frozen, asked: int | None) -> Tensor:
    """Return the token (or class) whose logit is explained at each position, (L,).

    None asked for: the model's own prediction. Raises BadInput for an id that has no logit, and
    ValueError where there are no logits.
    """
    if frozen.logits is None:
        raise ValueError("expected a model with a head, got one that ends in hidden states")
    length, known = len(frozen.hidden), frozen.logits.shape[-1]
    if asked is None:
        return frozen.logits.argmax(-1).expand(length)
    if asked >= known:
        raise BadInput(f"the token id {asked} has no logit: choose one below {known}")
    return torch.full((length,), asked, device=frozen.logits.device)


def explained(frozen: Frozen, position: int, token: int | None, inputs: Inputs) -> dict[str, Any]:
    """Return the columns that say which logits are meant, and the target in words."""
    if frozen.logits is None:
        said = "its final hidden state, along itself (the model has no head)"
        return {"position": position, "logit_of": None, "target": said}
    tokens = tokens_of(frozen, token).cpu()
    classes = frozen.readout is not None
    names = [f"class {int(t)}" for t in tokens] if classes else inputs.words(tokens)
    return {
        "position": position,
        "logit_of": listed(names),
        "target": f"the logit of {names[position]!r}",
    }


def listed(words: Sequence[str]) -> str:
    """Return words as a JSON list."""
    return json.dumps(list(words), ensure_ascii=False)
