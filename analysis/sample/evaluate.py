"""Bits per byte: how well a model predicts text, whatever its tokenizer.

Gao et al. (2020), https://arxiv.org/abs/2101.00027, section 3.1
"""

import math

import torch
from transformers import PreTrainedTokenizerBase

ROWS = 16


def _windows(ids: torch.Tensor, window: int) -> tuple[torch.Tensor, ...]:
    """Overlap by one token, so that each token but the first is predicted exactly once."""
    cuts = [ids[start : start + window + 1] for start in range(0, len(ids) - 1, window)]
    whole = [cut for cut in cuts if len(cut) == window + 1]
    rest = [cut[None] for cut in cuts[len(whole) :]]
    return (*torch.split(torch.stack(whole), ROWS), *rest) if whole else tuple(rest)


@torch.inference_mode()
def nats(model: torch.nn.Module, ids: torch.Tensor, window: int = 256) -> float:
    """Sum of -ln p over ids (tokens,), each given at most `window` tokens before it."""
    total = 0.0
    for rows in _windows(ids, window):
        logits = model(input_ids=rows[:, :-1], use_cache=False).logits.float()
        losses = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), rows[:, 1:].flatten(), reduction="none"
        )
        total += losses.double().sum().item()
    return total


def bits_per_byte(
    model: torch.nn.Module, tokenizer: PreTrainedTokenizerBase, text: str, window: int = 256
) -> float:
    """Total nats / ln 2 / bytes of UTF-8; the first token follows the end-of-text token."""
    if not text:
        raise ValueError("expected text, got an empty string")
    encoded = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    ids = torch.tensor([tokenizer.bos_token_id, *encoded])
    was_training = model.training
    total = nats(model.eval(), ids, window)
    model.train(was_training)
    return total / math.log(2) / len(text.encode())
