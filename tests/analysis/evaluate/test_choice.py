"""Multiple choice against a loop over the tokens of each choice."""

import json

import pytest
import torch

from analysis.evaluate.choice import Question, answer, encoded, read
from analysis.evaluate.nats import UNSCORED
from analysis.networks.errors import BadInput
from tests.analysis.evaluate.small_models import KNOWN, WORDS, on_disk, written


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return on_disk(tmp_path_factory.mktemp("llama"), "llama")


def naive(network, question, choices):
    """ln p of each choice's words after the question, word by word."""
    totals = []
    for choice in choices:
        ids = [KNOWN["<s>"], *(KNOWN[word] for word in question.split())]
        total = 0.0
        for word in choice.split():
            with torch.no_grad():
                log_p = network(input_ids=torch.tensor([ids])).logits[0, -1].log_softmax(-1)
            total += float(log_p[KNOWN[word]])
            ids.append(KNOWN[word])
        totals.append(total)
    return totals


def test_both_rules_against_a_loop(llama):
    opened, network = llama
    generator = torch.Generator().manual_seed(3)
    made, by_sum, by_byte = [], 0, 0
    for number in range(12):
        words = [WORDS[int(i)] for i in torch.randint(0, 23, (12,), generator=generator)]
        question = " ".join(words[:4])
        choices = (words[4], " ".join(words[5:9]), " ".join(words[9:]))
        made.append(Question(question, choices, number % 3))
        totals = naive(network, question, choices)
        per_byte = [t / len(c.encode()) for t, c in zip(totals, choices, strict=True)]
        by_sum += totals.index(max(totals)) == number % 3
        by_byte += per_byte.index(max(per_byte)) == number % 3
    found = answer(opened, network, made)
    assert (found.accuracy, found.normalised, found.count) == (by_sum / 12, by_byte / 12, 12)
    assert 0 < by_sum < 12
    assert by_sum != by_byte


def test_only_the_choice_is_predicted(llama):
    [rows] = encoded(llama[0], [Question("the sky is", ("blue", "red rose"), 0)])
    ids, targets = rows[1]
    assert ids.tolist() == [KNOWN[w] for w in ("<s>", "the", "sky", "is", "red", "rose")]
    assert targets.tolist() == [UNSCORED] * 3 + [KNOWN["red"], KNOWN["rose"], UNSCORED]


def test_a_long_question_loses_its_beginning(llama):
    [rows] = encoded(llama[0], [Question("the " * 80, ("blue", "red rose"), 0)])
    ids, targets = rows[1]
    assert len(ids) == 64
    assert (targets != UNSCORED).sum() == 2
    with pytest.raises(BadInput, match=r"has 64 tokens .* choices of fewer than 64"):
        encoded(llama[0], [Question("the", ("red " * 64, "blue"), 0)])


def test_lines_are_read_with_either_word(tmp_path):
    lines = [
        {"question": "the sky is", "choices": ["blue", "red"], "answer": 0},
        {"context": "one", "choices": ["a", "b", "two"], "answer": 2},
    ]
    path = written(tmp_path, "\n\n".join(map(json.dumps, lines)), "a.jsonl")
    assert read(path) == (
        Question("the sky is", ("blue", "red"), 0),
        Question("one", ("a", "b", "two"), 2),
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("no json", "line 2 of a.jsonl is no"),
        ("[1]", "line 2 of a.jsonl is no"),
        ('{"question": "a", "choices": ["b"], "answer": 0}', "two or more choices"),
        ('{"question": "a", "choices": ["b", " "], "answer": 0}', "two or more choices"),
        ('{"choices": ["b", "c"], "answer": 0}', "give a question"),
        ('{"question": "a", "choices": ["b", "c"], "answer": 2}', "answer 2: give 0 to 1"),
        ('{"question": "a", "choices": ["b", "c"], "answer": true}', "answer True"),
        ('{"question": "a", "choices": ["b", "c"]}', "line 2"),
    ],
)
def test_a_line_that_does_not_do_is_named(tmp_path, line, said):
    good = '{"question": "a", "choices": ["b", "c"], "answer": 1}'
    with pytest.raises(BadInput, match=said):
        read(written(tmp_path, f"{good}\n{line}", "a.jsonl"))
