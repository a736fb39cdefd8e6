"""Which token's output is explained, which of its logits, and whether the map gives them."""

import json
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from analysis.networks.errors import BadInput, NotRunnable, gives_nan
from analysis.networks.inputs import Inputs
from analysis.networks.lens.frozen import Frozen, missed, run

MOST_MISSED = 1e-3  # rounding leaves 1e-6; a norm or a path left out, more than a hundredth


def position_of(frozen: Frozen, asked: int | None) -> int:
    """Return the target position: the one a classifier reads, the one asked for, or the last.

    An encoder's last token is the closing one: there it is the last before. Raises BadInput for a
    position that `check_position` refuses.
    """
    length = len(frozen.hidden)
    check_position(frozen.readout is not None, asked, length)
    if frozen.readout is not None:
        return frozen.readout
    if asked is None:
        return length - (1 if frozen.causal else 2)
    return asked


def check_position(classifies: bool, asked: int | None, length: int) -> None:
    """Raise BadInput for a position outside of the window, and for any of a classifier."""
    if asked is None:
        return
    if classifies:
        raise BadInput(
            "a classifier has one output, read at one token of its own: leave position out"
        )
    if asked >= length:
        raise BadInput(
            f"position {asked} is outside of a window of {length} tokens: choose one below {length}"
        )


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


def check_map(frozen: Frozen, name: str) -> None:
    """Raise NotRunnable where the frozen map is not the model's own at this window."""
    found = frozen.span().incompleteness
    if not math.isfinite(found):
        raise gives_nan(name)
    if not found <= MOST_MISSED:
        raise NotRunnable(
            f"the frozen map of {name} misses {found:.2g} of the model's own output, so its blocks "
            "are not what they are taken for: choose another model"
        )


def logit_residual(frozen: Frozen, y: Tensor) -> float:
    """Return what the head's logits of final hidden states y (L, D) miss of the model's own."""
    if frozen.logits is None:
        raise ValueError("expected a model with a head, got one that ends in hidden states")
    read = y if frozen.readout is None else y[frozen.readout : frozen.readout + 1]
    return missed(run(frozen.head, read, biased=True), frozen.logits)


def listed(words: Sequence[str]) -> str:
    """Return words as a JSON list."""
    return json.dumps(list(words), ensure_ascii=False)
