"""What a model reads: windows, labels and arrays, and the sentences where they do not do."""

import json

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    BertTokenizerFast,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from analysis import sample
from analysis.networks.errors import BadInput
from analysis.networks.inputs import Inputs, check_text
from analysis.networks.opened import OpenedModel
from analysis.networks.positions import positions

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "blue", "sky", "rose", "the", "is"]


@pytest.fixture(scope="module")
def model():
    return OpenedModel.open(sample.MODEL)


def bert(folder, kind, **more):
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=8, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=2, max_position_embeddings=16, **more,
    )  # fmt: skip
    kind(config).save_pretrained(folder)
    return OpenedModel.open(folder)


def test_windows_are_the_texts_own_tokens_in_order(model, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(sample.text("calibration")[:20_000])
    tokenizer = AutoTokenizer.from_pretrained(sample.MODEL)
    whole = tokenizer(path.read_text(), add_special_tokens=False)["input_ids"]
    found = Inputs(model, str(path)).windows(5, 32)
    assert found.shape == (5, 32)
    assert found.flatten().tolist() == [tokenizer.bos_token_id, *whole][:160]


def test_the_bundled_text_is_the_default_and_has_the_hash_of_its_content(model, tmp_path):
    path = tmp_path / "copy.txt"
    path.write_text(sample.text("heldout"))
    bundled, copy = Inputs(model), Inputs(model, str(path))
    assert bundled.sha256 == copy.sha256
    assert bundled.name == "bundled held-out text"
    assert torch.equal(bundled.windows(3, 16), copy.windows(3, 16))


def test_a_prefix_gives_the_tokens_of_the_whole(model, tmp_path):
    path = tmp_path / "long.txt"
    # Long runs of one letter make long tokens, of which a short prefix would hold too few.
    path.write_text(("#" * 400 + "\n") * 50 + sample.text("calibration")[:5_000])
    inputs = Inputs(model, str(path))
    assert torch.equal(inputs.tokens(120), inputs.tokens()[:120])


def test_an_encoder_reads_each_window_between_its_own_ends(tmp_path):
    opened = bert(tmp_path, BertModel)
    path = tmp_path / "text.txt"
    path.write_text("the sky is blue the rose is red")
    found = Inputs(opened, str(path)).windows(2, 6)
    assert [Inputs(opened).words(row) for row in found] == [
        ["[CLS]", "the", "sky", "is", "blue", "[SEP]"],
        ["[CLS]", "the", "rose", "is", "red", "[SEP]"],
    ]


@pytest.mark.parametrize(
    ("content", "count", "length", "said"),
    [
        (b"one two", 4, 64, r"has \d+ tokens .* 4 windows of 64 need 256: give a longer text"),
        (b"  \n ", 1, 4, "is empty"),
        (b"\xff\xfe\x00", 1, 4, "no UTF-8"),
        (b"some words", 1, 300, "has 256 positions, and windows of 300"),
        (b"some words", 0, 4, "0 windows of 4 tokens hold nothing"),
    ],
)
def test_a_text_that_does_not_do_is_a_sentence(model, tmp_path, content, count, length, said):
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=said):
        Inputs(model, str(path)).windows(count, length)


def test_a_missing_file_is_a_sentence(model):
    with pytest.raises(BadInput, match=r"nowhere\.txt cannot be read \(No such file"):
        Inputs(model, "nowhere.txt").windows(1, 4)


def test_token_ids_come_as_an_array(model, tmp_path):
    path = tmp_path / "ids.npy"
    np.save(path, np.arange(40))
    inputs = Inputs(model, str(path))
    assert inputs.windows(2, 8).tolist() == [list(range(8)), list(range(8, 16))]
    assert inputs.words([3, 4]) == ["3", "4"]


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.ones(4), "holds float64"),
        (np.ones((2, 2), int), "shape"),
        (np.array([5, 99_999]), "token id 99999, outside of the model's 2048"),
        (np.array([-1, 3]), "token id -1"),
    ],
)
def test_token_ids_that_cannot_be_are_a_sentence(model, tmp_path, array, said):
    path = tmp_path / "ids.npy"
    np.save(path, array)
    with pytest.raises(BadInput, match=said):
        Inputs(model, str(path)).windows(1, 2)


def classifier(folder):
    return bert(
        folder, BertForSequenceClassification, num_labels=2,
        id2label={0: "bad", 1: "good"}, label2id={"bad": 0, "good": 1},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "text,label\nthe sky is blue,good\nthe rose,0\n"),
        ("a.tsv", "text\tlabel\nthe sky is blue\tgood\nthe rose\t0\n"),
        ("a.jsonl", "\n".join(json.dumps(r) for r in (
            {"text": "the sky is blue", "label": "good"}, {"text": "the rose", "label": 0}))),
    ],
)  # fmt: skip
def test_labelled_texts_are_padded_to_one_length(tmp_path, name, content):
    opened = classifier(tmp_path)
    (tmp_path / name).write_text(content)
    found = Inputs(opened, str(tmp_path / name)).labelled(2, 8)
    assert found.labels.tolist() == [1, 0]
    assert found.mask.sum(1).tolist() == [6, 4]
    assert found.ids.shape == (2, 8)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (None, "", "is a classifier, and bundled held-out text has no labels"),
        ("a.txt", "the sky", "has no labels: give a .csv"),
        ("a.csv", "words,class\nsky,1\n", "lacks the columns text and label"),
        ("a.csv", "text,label\nsky,ugly\n", "label 'ugly'.* knows bad, good"),
        ("a.csv", "text,label\nsky,7\n", "label '7'"),
        ("a.jsonl", "[1, 2]", "lacks the columns"),
    ],
)
def test_labels_that_do_not_do_are_a_sentence(tmp_path, name, content, said):
    opened = classifier(tmp_path)
    if name:
        (tmp_path / name).write_text(content)
    with pytest.raises(BadInput, match=said):
        Inputs(opened, str(tmp_path / name) if name else None).labelled(1, 8)


def test_arrays_come_from_an_npz(tmp_path):
    X, Y = np.ones((3, 2), np.float32), np.zeros((3, 1))
    np.savez(tmp_path / "data.npz", X=X, Y=Y)
    found = Inputs(None, str(tmp_path / "data.npz")).arrays()
    assert [tuple(a.shape) for a in found] == [(3, 2), (3, 1)]
    assert found[0].dtype == torch.float64
    assert Inputs(None).arrays() is None
    np.savez(tmp_path / "odd.npz", X=X, Y=Y[:2])
    with pytest.raises(BadInput, match="3 rows of X and 2 of Y"):
        Inputs(None, str(tmp_path / "odd.npz")).arrays()
    (tmp_path / "no.npz").write_text("nothing")
    with pytest.raises(BadInput, match="no arrays X and Y"):
        Inputs(None, str(tmp_path / "no.npz")).arrays()


def test_words_keep_the_space_before_them(tmp_path):
    known = {"<unk>": 0, "\u2581the": 1, "\u2581sky": 2, "s": 3}
    made = Tokenizer(models.WordLevel(known, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    PreTrainedTokenizerFast(tokenizer_object=made).save_pretrained(tmp_path)
    config = LlamaConfig(
        vocab_size=4, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    inputs = Inputs(OpenedModel.open(tmp_path))
    assert "".join(inputs.words([1, 2, 3])) == " the skys"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"max_position_embeddings": 64}, 64),
        ({"n_positions": 32}, 32),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"text_config": {"max_position_embeddings": 16}}, 16),
        ({"model_type": "t5"}, None),
    ],
)
def test_positions_are_in_the_configuration(config, expected):
    assert positions(config) == expected


def test_text_is_checked_before_a_model_is_loaded(model, tmp_path, monkeypatch):
    monkeypatch.setattr(OpenedModel, "network", lambda *_, **__: pytest.fail("it was loaded"))
    check_text(model.source, None, 4, 64)
    with pytest.raises(BadInput, match="has 256 positions, and windows of 300 tokens"):
        check_text(model.source, None, 4, 300)
    with pytest.raises(BadInput, match="cannot be read"):
        check_text(model.source, "nowhere.txt", 4, 64)
    (tmp_path / "short.txt").write_text("too short")
    with pytest.raises(BadInput, match="give a longer text"):
        check_text(model.source, str(tmp_path / "short.txt"), 4, 64)


def test_no_more_of_a_text_is_read_than_is_needed(model, tmp_path):
    path = tmp_path / "long.txt"
    path.write_bytes(sample.text("calibration").encode() + b"\xff\xfe")  # not read, so no fault
    assert Inputs(model, str(path)).windows(2, 8).shape == (2, 8)


def test_without_a_padding_token_texts_are_read_one_at_a_time(tmp_path):
    opened = classifier(tmp_path)
    opened.tokenizer().pad_token = None
    (tmp_path / "a.csv").write_text("text,label\nthe sky,good\nthe rose is red,bad\n")
    given = Inputs(opened, str(tmp_path / "a.csv"))
    assert given.labelled(1, 8).ids.shape == (1, 4)
    with pytest.raises(BadInput, match=r"has no padding token, .* ask for 1 text"):
        given.labelled(2, 8)
