"""How well an encoder's sentence embeddings order pairs of sentences by their likeness.

An embedding is the mean of the last hidden states of a sentence's tokens (Reimers & Gurevych 2019,
https://arxiv.org/abs/1908.10084); pairs are ordered by the cosine of theirs, and compared with
people's scores by Spearman's ρ (STS-B: Cer et al. 2017, https://arxiv.org/abs/1708.00055).
"""

import csv
import hashlib
import io
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from analysis.evaluate.nats import evaluating
from analysis.evaluate.non_finite import non_finite
from analysis.evaluate.spearman import Order, spearman
from analysis.networks.errors import BadInput, NotRunnable
from analysis.networks.inputs import Inputs
from analysis.networks.opened import OpenedModel
from analysis.networks.positions import positions
from analysis.registry import Quiet, Report

COLUMNS = ("sentence1", "sentence2", "score")
ROWS = 64  # sentences of one batch


@dataclass(frozen=True)
class Pairs:
    """Pairs of sentences with the scores that people gave them."""

    first: tuple[str, ...]
    second: tuple[str, ...]
    scores: tuple[float, ...]
    name: str
    sha256: str


def read(path: str) -> Pairs:
    """Read pairs from .csv, .tsv or .jsonl with the columns sentence1, sentence2 and score.

    A .csv or .tsv without these names in its first line has just the three columns, in this order.
    Raises BadInput for anything else and for fewer than two pairs.
    """
    inputs = Inputs(None, path)
    rows = _lines(inputs._words, inputs.name)
    if len(rows) < 2:
        raise BadInput(f"{inputs.name} has {len(rows)} sentence pairs: give two or more")
    first, second, scores = zip(
        *(_pair(row, n, inputs.name) for n, row in enumerate(rows, 1)), strict=True
    )
    digest = hashlib.sha256(inputs._bytes).hexdigest()
    return Pairs(first, second, scores, inputs.name, digest)


def _lines(text: str, name: str) -> list[Any]:
    suffix = Path(name).suffix.lower()
    try:
        if suffix == ".jsonl":
            found = [json.loads(line) for line in text.split("\n") if line.strip()]
            return [[row[column] for column in COLUMNS] for row in found]
        if suffix == ".tsv":
            # Quotation marks in a .tsv are the text's own, as in STS-B.
            rows = [line.split("\t") for line in text.splitlines() if line.strip()]
        elif suffix == ".csv":
            rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
        else:
            raise BadInput(f"{name} is no .csv, .tsv or .jsonl file of sentence pairs")
    except (ValueError, KeyError, TypeError, csv.Error):
        raise BadInput(f"{name} lacks {', '.join(COLUMNS)} in some line: write all three") from None
    if set(COLUMNS) <= set(rows[0]):
        places = [rows[0].index(column) for column in COLUMNS]
        return [[row[i] if i < len(row) else None for i in places] for row in rows[1:]]
    return rows


def _pair(row: Any, number: int, name: str) -> tuple[str, str, float]:
    try:
        first, second, given = row
        value = float(given)
    except (ValueError, TypeError):
        value = math.nan
    if not math.isfinite(value) or not (isinstance(first, str) and isinstance(second, str)):
        raise BadInput(
            f"pair {number} of {name} is not two sentences and a score: give the columns "
            f"{', '.join(COLUMNS)}"
        )
    return first, second, value


def cosines(
    opened: OpenedModel, network: nn.Module, pairs: Pairs, report: Report | None = None
) -> tuple[float, ...]:
    """Return the cosine of each pair's embeddings, in the order of the pairs.

    Sentences longer than the model's positions are cut. Raises NonFiniteLayer.
    """
    report = report or Quiet()
    tokenizer = opened.tokenizer()
    if tokenizer.pad_token_id is None:
        raise NotRunnable(
            f"the tokenizer of {opened.name} has no padding token, which sentences of several "
            "lengths need: add pad_token to tokenizer_config.json"
        )
    texts = [*pairs.first, *pairs.second]
    # Longest first, so that a batch holds sentences of about one length, and memory peaks at once.
    order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
    found: list[Tensor] = [torch.empty(0)] * len(texts)
    with evaluating(network), torch.inference_mode():
        for start in range(0, len(order), ROWS):
            report(start, len(order), "sentences")
            chosen = order[start : start + ROWS]
            embedded = _embedded(opened, network, [texts[i] for i in chosen])
            for place, row in zip(chosen, embedded, strict=True):
                found[place] = row
    report(len(order), len(order), "sentences")
    both = torch.stack(found).double()
    half = len(pairs.first)
    return tuple(nn.functional.cosine_similarity(both[:half], both[half:]).tolist())


def _embedded(opened: OpenedModel, network: nn.Module, texts: list[str]) -> Tensor:
    """Return the mean of each text's last hidden states, (texts, hidden)."""
    longest = positions(opened.config.to_dict())
    encoded = opened.tokenizer()(
        texts, padding=True, truncation=longest is not None, max_length=longest, return_tensors="pt"
    )
    device = next(network.parameters()).device
    given = {name: value.to(device) for name, value in encoded.items()}
    hidden = _last_hidden(network, given)
    weight = given["attention_mask"][:, :, None].to(hidden.dtype)
    means: Tensor = (hidden * weight).sum(1) / weight.sum(1).clamp(min=1)
    if not means.isfinite().all():
        raise non_finite(network, lambda: network(**given))
    return means


def _last_hidden(network: nn.Module, given: dict[str, Tensor]) -> Tensor:
    """Return the last hidden states, which a model with a head gives only when asked."""
    output = network(**given, output_hidden_states=True)
    hidden = getattr(output, "last_hidden_state", None)
    found: Tensor = output.hidden_states[-1] if hidden is None else hidden
    return found


def agreement(cosines: tuple[float, ...], pairs: Pairs) -> float:
    """Return Spearman's ρ between cosines and scores; 0 where all cosines are equal."""
    return float(spearman(Order(cosines), Order(pairs.scores)))


def words(opened: OpenedModel, pairs: Pairs) -> str:
    """Return how pairs are measured, as a sentence."""
    longest = positions(opened.config.to_dict())
    cut = "" if longest is None else f" of at most {longest}"
    return (
        f"{len(pairs.scores):,} sentence pairs, Spearman's ρ of scores and cosines; an embedding "
        f"is the mean of the last hidden states over a sentence's tokens{cut}"
    )
