"""Sentence pairs: tables, mean pooling against one sentence at a time."""

import json
import math

import pytest
import torch
from scipy import stats

from analysis.compress.pieces import NonFiniteLayer
from analysis.evaluate.similarity import agreement, cosines, read
from analysis.networks.errors import BadInput, NotRunnable
from tests.analysis.evaluate.small_models import on_disk, written

ROWS = [
    ("the sky", "the blue sky .", 4.5),
    ("one two", "the rose is red", 0.0),
    ("red rose", "rose", 3.0),
    ("a b c", "c b a", 3.0),
]


def table(folder, name="pairs.csv"):
    return written(folder, "\n".join(",".join(map(str, row)) for row in ROWS), name)


@pytest.mark.parametrize("family", ["encoder", "bert"])
def test_embeddings_are_those_of_one_sentence_at_a_time(tmp_path, family):
    opened, network = on_disk(tmp_path, family)
    pairs = read(table(tmp_path))
    found = cosines(opened, network, pairs)
    expected = []
    for first, second, _ in ROWS:
        means = []
        for text in (first, second):
            encoded = opened.tokenizer()(text, return_tensors="pt")
            with torch.no_grad():
                hidden = network(**encoded, output_hidden_states=True).hidden_states[-1][0]
            means.append(hidden.double().mean(0))
        a, b = means
        expected.append(float(a @ b / a.norm() / b.norm()))
    assert found == pytest.approx(expected, abs=1e-6)
    rho = stats.spearmanr(found, [row[2] for row in ROWS]).statistic
    assert agreement(found, pairs) == pytest.approx(rho, abs=1e-12)


def test_long_sentences_are_cut_to_the_positions(tmp_path):
    opened, network = on_disk(tmp_path, "encoder")
    path = written(tmp_path, f"{'the ' * 80},{'the ' * 64},1\na,b,2", "pairs.csv")
    assert cosines(opened, network, read(path))[0] == pytest.approx(1, abs=1e-6)


def test_a_layer_that_is_not_finite_is_named(tmp_path):
    opened, network = on_disk(tmp_path, "encoder")
    with torch.no_grad():
        network.encoder.layer[1].output.dense.bias[0] = math.inf
    with pytest.raises(NonFiniteLayer, match=r"^encoder\.layer\.1\.output\.dense"):
        cosines(opened, network, read(table(tmp_path)))


def test_sentences_need_padding(tmp_path):
    opened, network = on_disk(tmp_path, "encoder")
    opened.tokenizer().pad_token = None
    with pytest.raises(NotRunnable, match="no padding token"):
        cosines(opened, network, read(table(tmp_path)))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'score,sentence1,sentence2\n4.5,"the, sky",blue\n0,one,two\n'),
        ("a.csv", '"the, sky",blue,4.5\none,two,0\n'),
        ("a.tsv", "id\tscore\tsentence1\tsentence2\n7\t4.5\tthe, sky\tblue\n8\t0\tone\ttwo\n"),
        ("a.jsonl", "\n".join(json.dumps(r) for r in (
            {"sentence1": "the, sky", "sentence2": "blue", "score": 4.5},
            {"sentence1": "one", "sentence2": "two", "score": 0}))),
    ],
)  # fmt: skip
def test_tables_are_read_with_and_without_names(tmp_path, name, content):
    found = read(written(tmp_path, content, name))
    assert (found.first, found.second) == (("the, sky", "one"), ("blue", "two"))
    assert found.scores == (4.5, 0.0)


def test_quotation_marks_of_a_tsv_are_the_texts_own(tmp_path):
    found = read(written(tmp_path, 'he said "no\tnothing\t1\na\tb\t2\n', "a.tsv"))
    assert found.first == ('he said "no', "a")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "a,b,c\nd,e,f\n", "pair 1 of a.csv is not two sentences and a score"),
        ("a.csv", "a,b,1\nc,d\n", "pair 2 of a.csv"),
        ("a.csv", "a,b,1\nc,d,nan\n", "pair 2 of a.csv"),
        ("a.csv", "a,b,1\n", "1 sentence pairs: give two or more"),
        ("a.jsonl", '{"sentence1": "a"}', "lacks sentence1, sentence2, score"),
        ("a.txt", "words", "is no .csv, .tsv or .jsonl"),
    ],
)
def test_pairs_that_do_not_do_are_a_sentence(tmp_path, name, content, said):
    with pytest.raises(BadInput, match=said):
        read(written(tmp_path, content, name))
