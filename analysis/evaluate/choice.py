"""Multiple choice without training: the answer to which a causal model gives most likelihood.

Each choice is read after its question, a space between; ln p is summed over the tokens of the
choice. Two answers: the largest sum, and the largest sum per UTF-8 byte of the choice, for a longer
choice is less likely as such (Brown et al. 2020, https://arxiv.org/abs/2005.14165, section 2.4;
bytes instead of tokens compare across tokenizers).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from analysis.evaluate.nats import UNSCORED, score
from analysis.networks.errors import BadInput
from analysis.networks.inputs import Inputs
from analysis.networks.opened import OpenedModel
from analysis.networks.positions import positions
from analysis.registry import Quiet, Report


@dataclass(frozen=True)
class Question:
    """What is asked, what may be answered, and which of that is right."""

    question: str
    choices: tuple[str, ...]
    answer: int


@dataclass(frozen=True)
class Answered:
    """Which share of questions was answered rightly, by both rules."""

    accuracy: float
    normalised: float
    count: int


def read(path: str) -> tuple[Question, ...]:
    """Read questions, one a line: {"question": ..., "choices": [...], "answer": 0}.

    "context" stands for "question" as well, and `answer` counts choices from 0. Raises BadInput
    naming the line that does not do.
    """
    inputs = Inputs(None, path)
    lines = [(n, line) for n, line in enumerate(inputs._words.split("\n"), 1) if line.strip()]
    return tuple(_question(line, f"line {n} of {inputs.name}") for n, line in lines)


def _question(line: str, where: str) -> Question:
    try:
        held = json.loads(line)
        asked = held.get("question", held.get("context"))
        choices, answer = tuple(held["choices"]), held["answer"]
    except (ValueError, KeyError, TypeError, AttributeError):
        asked, choices, answer = None, (), None
    if not isinstance(asked, str) or len(choices) < 2 or not all(map(_is_word, choices)):
        raise BadInput(
            f'{where} is no {{"question": "...", "choices": ["...", "..."], "answer": 0}}: '
            "give a question and two or more choices"
        )
    if type(answer) is not int or not 0 <= answer < len(choices):
        raise BadInput(f"{where} has the answer {answer!r}: give 0 to {len(choices) - 1}")
    return Question(asked, choices, answer)


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def encoded(
    opened: OpenedModel, questions: Sequence[Question]
) -> list[list[tuple[Tensor, Tensor]]]:
    """Return, of each choice of each question, its tokens (L,) and what each position predicts.

    Only tokens of the choice are predicted. Long questions lose their beginning. Raises BadInput
    for choices that are longer than the model's positions.
    """
    return [[_encoded(opened, q.question, choice) for choice in q.choices] for q in questions]


def _encoded(opened: OpenedModel, question: str, choice: str) -> tuple[Tensor, Tensor]:
    tokenizer = opened.tokenizer()
    space = "" if not question or question[-1].isspace() or choice[0].isspace() else " "
    bos = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    alone, whole = (
        [*bos, *tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]]
        for text in (question, question + space + choice)
    )
    # A token that holds letters of both belongs to the choice.
    start = next((i for i, (a, b) in enumerate(zip(alone, whole, strict=False)) if a != b), None)
    start = min(len(alone), len(whole) - 1) if start is None else start
    most = positions(opened.config.to_dict())
    if start < 1 or (most is not None and len(whole) - start >= most):
        raise BadInput(
            f"the choice {choice[:40]!r} has {len(whole) - start} tokens for {opened.name}, with "
            f"{start} before them: give questions with words, and choices of fewer than {most}"
        )
    ids = torch.tensor(whole, dtype=torch.int64)
    targets = torch.cat([ids[1:], ids.new_tensor([UNSCORED])])
    targets[: start - 1] = UNSCORED
    return (ids, targets) if most is None else (ids[-most:], targets[-most:])


def answer(
    opened: OpenedModel,
    network: nn.Module,
    questions: Sequence[Question],
    report: Report | None = None,
) -> Answered:
    """Return how many questions a network answers rightly; of equal choices the first counts.

    Raises NonFiniteLayer and BadInput.
    """
    report = report or Quiet()
    by_sum = by_byte = 0
    for number, (question, rows) in enumerate(
        zip(questions, encoded(opened, questions), strict=True)
    ):
        report(number, len(questions), "questions")
        nats = score(network, *_padded(rows)).sums
        sizes = [len(choice.encode()) for choice in question.choices]
        per_byte = [total / size for total, size in zip(nats, sizes, strict=True)]
        by_sum += nats.index(min(nats)) == question.answer
        by_byte += per_byte.index(min(per_byte)) == question.answer
    report(len(questions), len(questions), "questions")
    return Answered(by_sum / len(questions), by_byte / len(questions), len(questions))


def _padded(rows: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Return rows of one length: what follows the last token changes nothing before it."""
    ids, targets = [ids for ids, _ in rows], [targets for _, targets in rows]
    pad = nn.utils.rnn.pad_sequence
    return pad(ids, batch_first=True), pad(targets, batch_first=True, padding_value=UNSCORED)
