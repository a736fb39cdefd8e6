"""Which tokens a model is measured on: how a text becomes windows, in words that are kept.

Perplexities compare only under one protocol (Merity et al. 2016, https://arxiv.org/abs/1609.07843,
measure WikiText otherwise than most papers since), so all of it stands beside every number. The
first windows of a text may be easier than the rest, so a sample of windows is drawn from all of it.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from analysis.evaluate.documents import PRESETS, documents
from analysis.evaluate.markers import left_in
from analysis.networks.errors import BadInput
from analysis.networks.inputs import Inputs
from analysis.networks.opened import OpenedModel
from analysis.networks.positions import check_length, positions

LONGEST_DEFAULT = 256


@dataclass(frozen=True)
class Protocol:
    """How a text is read; `window` None or 0: 256 tokens or all positions; `windows` 0: all."""

    preset: str = "stream"
    window: int | None = None
    windows: int = 64
    first: bool = False  # the first windows, not a sample: to repeat published numbers only
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of one text that do not overlap, in the order of the text."""

    ids: Tensor  # (windows, length) int64
    bytes_scored: tuple[int, ...] | None  # of all tokens but a window's first; None: not known
    description: str
    sha256: str  # of the text's content
    name: str
    warnings: tuple[str, ...] = ()


class _Read(NamedTuple):
    """All tokens of a text, the bytes of text that each stands for, and how they were read."""

    ids: Tensor
    widths: np.ndarray | None  # None: not known
    said: str
    warnings: tuple[str, ...] = ()


def windows(opened: OpenedModel, text: str | None, protocol: Protocol) -> Windows:
    """Return the windows of a text (None: the bundled held-out one) under a protocol.

    The tail that fills no window is left out; a text shorter than one window is one window.
    Encoders and masked models read each window between their own opening and closing tokens.
    Raises BadInput and NotRunnable as `Inputs` does.
    """
    inputs = Inputs(opened, text)
    length = _length(opened, protocol)
    ids, widths, said, warnings = _stream(opened, inputs, protocol.preset)
    before, after = _ends(opened) if widths is not None else ([], [])
    inner = min(length - len(before) - len(after), len(ids))
    least = 1 if before else 2
    if inner < least:
        raise BadInput(
            f"windows of {length} tokens of {inputs.name}, which has {len(ids)}, leave nothing to "
            "predict: give a longer text or longer windows"
        )
    total = len(ids) // inner
    chosen = _chosen(total, protocol)
    cut = ids[: total * inner].view(total, inner)[chosen]
    ends = [torch.tensor(e, dtype=torch.int64).expand(len(cut), -1) for e in (before, after)]
    cutting = _words(protocol, len(chosen), total, inner + len(before + after))
    enclosed = ", between the tokenizer's own opening and closing tokens" if before else ""
    return Windows(
        ids=torch.cat([ends[0], cut, ends[1]], dim=1),
        bytes_scored=None if widths is None or before else _scored(widths, total, inner, chosen),
        description=f"{said}; {cutting}{enclosed}",
        sha256=inputs.sha256,
        name=inputs.name,
        warnings=warnings,
    )


def _length(opened: OpenedModel, protocol: Protocol) -> int:
    if protocol.windows < 0:
        raise BadInput(f"{protocol.windows} windows are asked for: ask for 1 or more, or 0 for all")
    config = opened.config.to_dict()
    length = protocol.window or min(LONGEST_DEFAULT, positions(config) or LONGEST_DEFAULT)
    check_length(opened.source, length, config)
    return length


def _stream(opened: OpenedModel, inputs: Inputs, preset: str) -> _Read:
    if inputs.name.lower().endswith(".npy"):
        return _Read(inputs.tokens(), None, "token ids as given")
    tokenizer = opened.tokenizer()
    parts = documents(inputs._words, inputs.name, preset)
    bos = None if opened.task != "causal" else tokenizer.bos_token_id
    read = [_tokenised(tokenizer, part, bos) for part in parts]
    ids = torch.tensor(np.concatenate([found for found, _ in read]), dtype=torch.int64)
    mark = "no opening token" if bos is None else f"opening token {tokenizer.bos_token}"
    count = f", {len(parts):,} of them" if preset == "bos-per-document" else ""
    said = f'preset "{preset}": {PRESETS[preset]}{count} ({mark})'
    warnings = tuple(left_in(tokenizer, parts, inputs.name, preset))
    return _Read(ids, np.concatenate([found for _, found in read]), said, warnings)


def _tokenised(tokenizer: Any, text: str, bos: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the tokens of one text, and of each the UTF-8 bytes since the end of the one before.

    So spaces that a tokenizer drops count to the token after them, and of several tokens that
    share a character the first one has it. Tokenizers that give no offsets have the bytes of the
    text shared out evenly over its tokens.
    """
    fast = bool(tokenizer.is_fast)
    found = tokenizer(
        text, add_special_tokens=False, return_offsets_mapping=fast, verbose=False
    )  # fmt: skip
    ids = np.asarray(found["input_ids"], np.int64)
    ends = _byte_ends(text)
    if fast:
        last = np.asarray(found["offset_mapping"], np.int64).reshape(-1, 2)[:, 1]
        ends = np.maximum.accumulate(ends[last])
    else:
        ends = ends[-1] * np.arange(1, len(ids) + 1) // max(1, len(ids))
    widths = np.diff(ends, prepend=0)
    if bos is None:
        return ids, widths
    return np.insert(ids, 0, bos), np.insert(widths, 0, 0)


def _byte_ends(text: str) -> np.ndarray:
    """Return how many UTF-8 bytes the first 0, 1, 2, ... characters take."""
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    sizes = 1 + sum((points >= limit).astype(np.int64) for limit in (0x80, 0x800, 0x10000))
    return np.concatenate([[0], np.cumsum(sizes)])


def _ends(opened: OpenedModel) -> tuple[list[int], list[int]]:
    """Return the tokens that open and close each window of a model that is not causal."""
    tokenizer = opened.tokenizer()
    ends = (tokenizer.cls_token_id, tokenizer.sep_token_id)
    if opened.task == "causal" or None in ends:
        return [], []
    return [ends[0]], [ends[1]]


def _chosen(total: int, protocol: Protocol) -> Tensor:
    count = min(protocol.windows or total, total)
    if protocol.first:
        return torch.arange(count)
    generator = torch.Generator().manual_seed(protocol.seed)
    return torch.randperm(total, generator=generator)[:count].sort().values


def _scored(widths: np.ndarray, total: int, inner: int, chosen: Tensor) -> tuple[int, ...]:
    rows = widths[: total * inner].reshape(total, inner)[:, 1:].sum(1)
    return tuple(int(rows[i]) for i in chosen.tolist())


def _words(protocol: Protocol, count: int, total: int, length: int) -> str:
    if count == total:
        which = "all there are"
    elif protocol.first:
        which = f"the first of {total:,}"
    else:
        which = f"drawn from {total:,} with seed {protocol.seed}"
    return f"{count:,} windows of {length} tokens that do not overlap, {which}"
