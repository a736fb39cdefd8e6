"""Texts with their classes, from a table of two columns, for models that classify."""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from analysis.networks.errors import BadInput
from analysis.networks.opened import OpenedModel

TABLES = (".csv", ".tsv", ".jsonl")


@dataclass(frozen=True)
class Labelled:
    """Texts with their classes, padded to one length."""

    ids: Tensor  # (count, length) int64
    mask: Tensor  # (count, length) int64, 0 on padding
    labels: Tensor  # (count,) int64


def is_table(name: str) -> bool:
    """Say whether a file's name is that of a table."""
    return Path(name).suffix.lower() in TABLES


def no_labels(model: OpenedModel, name: str) -> BadInput:
    """Return what to say where a classifier is given a text without labels."""
    return BadInput(
        f"{model.name} is a classifier, and {name} has no labels: give a .csv, .tsv or .jsonl file "
        "with the columns text and label"
    )


def labelled(model: OpenedModel, words: str, name: str, count: int, length: int) -> Labelled:
    """Return the first `count` texts of a table, cut or padded to `length` tokens.

    Raises BadInput for a table without both columns or with fewer texts, and for unknown labels.
    """
    rows = _rows(words, name)
    if len(rows) < count:
        raise BadInput(f"{name} has {len(rows)} texts, {count} are asked for: ask for fewer")
    labels = [_label(row["label"], model, name) for row in rows[:count]]
    tokenizer = model.tokenizer()
    if tokenizer.pad_token_id is None and count > 1:
        raise BadInput(
            f"the tokenizer of {model.name} has no padding token, which texts of several lengths "
            "need: ask for 1 text, or add pad_token to tokenizer_config.json"
        )
    encoded = tokenizer(
        [str(row["text"]) for row in rows[:count]],
        padding=False if tokenizer.pad_token_id is None else "max_length",
        truncation=True, max_length=length, return_tensors="pt",
    )  # fmt: skip
    return Labelled(encoded["input_ids"], encoded["attention_mask"], torch.tensor(labels))


def _rows(words: str, name: str) -> list[Mapping[str, Any]]:
    suffix = Path(name).suffix.lower()
    rows: list[Any]
    try:
        if suffix == ".jsonl":
            rows = [json.loads(line) for line in words.splitlines() if line.strip()]
        else:
            rows = list(
                csv.DictReader(io.StringIO(words), delimiter="\t" if suffix == ".tsv" else ",")
            )
    except (ValueError, csv.Error):
        rows = []
    whole = (isinstance(row, dict) and {"text", "label"} <= row.keys() for row in rows)
    if not rows or not all(whole):
        raise BadInput(f"{name} lacks the columns text and label: name them so in its first line")
    return rows


def _label(given: Any, model: OpenedModel, name: str) -> int:
    names = dict(getattr(model.config, "label2id", None) or {})
    count = int(getattr(model.config, "num_labels", len(names)))
    if str(given) in names:
        return int(names[str(given)])
    if str(given).isdigit() and int(given) < count:
        return int(given)
    raise BadInput(
        f"{name} has the label {given!r}: {model.name} knows "
        f"{', '.join(sorted(names)) or f'0 to {count - 1}'}"
    )
