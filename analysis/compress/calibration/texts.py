"""The windows of text that a calibration reads, and what they ask of a model.

A calibration reads another text than the one that trials are evaluated on: by default the bundled
calibration text, which no evaluation of the sample and no training of it has seen.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from analysis import sample
from analysis.evaluate.documents import documents
from analysis.evaluate.nats import UNSCORED, mask, next_tokens
from analysis.networks.errors import BadInput, NotRunnable
from analysis.networks.inputs import Inputs
from analysis.networks.opened import OpenedModel
from analysis.networks.positions import check_length, positions

BUNDLED = "bundled calibration text"
HUB = "hf:"  # hf:NAME[:CONFIG[:SPLIT]], a dataset with a column "text"
LONGEST_DEFAULT = 256


def name_of(text: str | None) -> str:
    """Return what to call a calibration text: the bundled one, a dataset, or a file's name."""
    if text is None:
        return BUNDLED
    return text if text.startswith(HUB) else Path(text).name


def opening(opened: OpenedModel, text: str | None) -> str:
    """Return in words what opens each document of a calibration text, "" where nothing does.

    Raises NotRunnable for a model without a tokenizer.
    """
    if text is not None and text.lower().endswith(".npy"):
        return ""
    tokenizer = opened.tokenizer()
    if opened.task != "causal" or tokenizer.bos_token_id is None:
        return ""
    return f"each document opened by one {tokenizer.bos_token}"


def windows(
    opened: OpenedModel, text: str | None, count: int, length: int | None, seed: int
) -> Tensor:
    """Return windows of a text that do not overlap, (windows, length) int64, in the text's order.

    They are drawn from the whole text without replacement, all of them where it has no more than
    `count`; a text shorter than `length` is one window. None is 256 tokens, or all positions.
    Encoders and masked models read each window between their own opening and closing tokens.
    Raises BadInput and NotRunnable.
    """
    length = _length(opened, count, length)
    ids = _stream(opened, text)
    before, after = _ends(opened, text)
    inner = min(length - len(before) - len(after), len(ids))
    if inner < 1:
        raise BadInput(f"windows of {length} tokens hold nothing: ask for longer ones")
    total = len(ids) // inner
    # From the other end than the evaluation draws, which of one text are then other windows.
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed)).flip(0)
    cut = ids[: total * inner].view(total, inner)[order[:count].sort().values]
    ends = [torch.tensor(side, dtype=torch.int64).expand(len(cut), -1) for side in (before, after)]
    return torch.cat([ends[0], cut, ends[1]], dim=1)


def questions(opened: OpenedModel, ids: Tensor, seed: int) -> tuple[Tensor, Tensor | None]:
    """Return what a model reads, and the tokens it predicts, both (windows, length).

    Tokens not asked for are UNSCORED. Causal models predict the next token; masked ones a seeded
    15 % of each window, which they read as the mask token; any other model has no loss: None.
    Raises NotRunnable for a tokenizer without a mask token.
    """
    if opened.task == "causal":
        return ids, next_tokens(ids)
    if opened.task != "masked":
        return ids, None
    tokenizer = opened.tokenizer()
    if tokenizer.mask_token_id is None:
        raise NotRunnable(
            f"the tokenizer of {opened.name} has no mask token, which its loss needs: "
            "add one to tokenizer_config.json"
        )
    kept = (tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id)
    never = tuple(i for i in kept if i is not None)
    return mask(ids, tokenizer.mask_token_id, torch.Generator().manual_seed(seed), never)


def asked(targets: Tensor) -> Tensor:
    """Say of each position whether its token is predicted."""
    return targets != UNSCORED


def _length(opened: OpenedModel, count: int, length: int | None) -> int:
    if count < 1:
        raise BadInput(f"{count} calibration windows are asked for: ask for at least 1")
    config = opened.config.to_dict()
    if config.get("is_encoder_decoder"):
        raise NotRunnable(
            f"{opened.name} reads one text and writes another, and a calibration has one text "
            "only: give an encoder or a causal model"
        )
    length = length or min(LONGEST_DEFAULT, positions(config) or LONGEST_DEFAULT)
    check_length(opened.source, length, config)
    return length


def _stream(opened: OpenedModel, text: str | None) -> Tensor:
    """Return the tokens of all documents, each opened by the token that opens a text."""
    if text is not None and text.lower().endswith(".npy"):
        return Inputs(opened, text).tokens()
    tokenizer = opened.tokenizer()
    bos = tokenizer.bos_token_id if opened.task == "causal" else None
    opening = [] if bos is None else [bos]
    found = tokenizer(_documents(text), add_special_tokens=False, verbose=False)["input_ids"]
    return torch.tensor([i for ids in found for i in (*opening, *ids)], dtype=torch.int64)


def _documents(text: str | None) -> Sequence[str]:
    if text is not None and text.startswith(HUB):
        return _of_hub(text)
    words = sample.text("calibration") if text is None else Inputs(None, text)._words
    return documents(words, name_of(text), "bos-per-document")


def _of_hub(text: str) -> Sequence[str]:
    """Return the texts of a dataset. Raises BadInput where it cannot be had."""
    # At most twice: a split may be a slice, as in train[:1000].
    name, config, split = [*text.removeprefix(HUB).split(":", 2), "", ""][:3]
    if not name:
        raise BadInput(f"{text!r} names no dataset: write hf:NAME, hf:NAME:CONFIG:SPLIT")
    rows = _loaded(name, config, split or "train")
    if "text" not in rows.column_names:
        raise BadInput(
            f"{text} has no column text but {', '.join(rows.column_names)}: write its texts into a "
            '.jsonl file, one {"text": "..."} a line'
        )
    found = [str(words) for words in rows["text"] if str(words).strip()]
    if not found:
        raise BadInput(f"{text} has no document with words in it: give another dataset")
    return found


def _loaded(name: str, config: str, split: str) -> Any:
    try:
        datasets: Any = import_module("datasets")
    except ImportError:
        raise BadInput(
            f"the dataset {name} needs the package datasets: pip install datasets, or give a file"
        ) from None
    try:
        return datasets.load_dataset(name, config or None, split=split)
    except (OSError, ValueError) as error:  # its own errors derive from these
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise BadInput(
            f"the dataset {name} cannot be loaded ({first}): check its name and the connection, or "
            "give a file"
        ) from None


def _ends(opened: OpenedModel, text: str | None) -> tuple[list[int], list[int]]:
    """Return the tokens that open and close each window of a model that is not causal."""
    if opened.task == "causal" or (text or "").lower().endswith(".npy"):
        return [], []
    tokenizer = opened.tokenizer()
    ends = (tokenizer.cls_token_id, tokenizer.sep_token_id)
    return ([], []) if None in ends else ([ends[0]], [ends[1]])
