"""The windows of a calibration: which tokens they hold, how they are drawn, what is refused."""

import json
import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

os.environ["HF_HUB_OFFLINE"] = "1"

from analysis import sample
from analysis.compress.calibration import calibrate as c
from analysis.compress.calibration import texts as ct
from analysis.compress.trials.targets import targets
from analysis.networks.errors import BadInput, NotRunnable
from analysis.networks.opened import OpenedModel
from tests.analysis.evaluate.small_models import KNOWN, WORDS, on_disk, written
from tests.analysis.weights.families import saved

CLS, SEP, MASK, BOS = KNOWN["[CLS]"], KNOWN["[SEP]"], KNOWN["[MASK]"], KNOWN["<s>"]


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return on_disk(tmp_path_factory.mktemp("llama"), "llama")[0]


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return on_disk(tmp_path_factory.mktemp("bert"), "bert")[0]


def text_of(tokens):
    """A text of so many words, each after another in a fixed order."""
    return " ".join(WORDS[i % len(WORDS)] for i in range(tokens))


def ids_of(text):
    return [KNOWN[word] for word in text.split()]


def tokens(model, text, **settings):
    return c.tokens(model, c.Calibration(text=text, **settings))


def test_it_is_said_what_opens_each_document_where_something_does(llama, bert, tmp_path):
    path = written(tmp_path, f"{text_of(3)}<|endoftext|>{text_of(4)}")
    found = tokens(llama, path, windows=4, length=9)
    assert found.flatten().tolist() == [BOS, *ids_of(text_of(3)), BOS, *ids_of(text_of(4))]
    assert ct.opening(llama, path) == "each document opened by one <s>"
    assert ct.opening(llama, None) == "each document opened by one <s>"
    assert ct.opening(bert, path) == ""
    np.save(tmp_path / "ids.npy", np.arange(9))
    assert ct.opening(llama, str(tmp_path / "ids.npy")) == ""


def test_all_windows_of_a_short_text_are_its_tokens_in_order(llama, tmp_path):
    path = written(tmp_path, text_of(43))
    found = tokens(llama, path, windows=64, length=8)
    assert found.dtype == torch.int64
    assert found.flatten().tolist() == [BOS, *ids_of(text_of(43))][:40]


def test_drawn_windows_are_whole_windows_of_the_text_in_order_and_each_once(llama, tmp_path):
    path = written(tmp_path, " ".join(WORDS[(i * i) % 23] for i in range(801)))
    every = tokens(llama, path, windows=1000, length=8).tolist()
    assert len(every) == 100
    drawn = {seed: tokens(llama, path, windows=10, length=8, seed=seed).tolist() for seed in (0, 1)}
    for found in drawn.values():
        places = [every.index(window) for window in found]
        assert len(found) == 10
        assert all(every[i] == window for i, window in zip(places, found, strict=True))
    assert drawn[0] != drawn[1]
    assert drawn[0] == tokens(llama, path, windows=10, length=8).tolist()


def test_the_sample_reaches_over_the_whole_text(llama, tmp_path):
    path = str(tmp_path / "ids.npy")
    np.save(path, np.repeat(np.arange(1000), 4) % 29)
    seen = np.zeros(1000, int)
    for seed in range(40):
        order = torch.randperm(1000, generator=torch.Generator().manual_seed(seed))
        drawn = order[-25:]  # the evaluation takes its windows from the front
        seen[drawn.numpy()] += 1
        found = tokens(llama, path, windows=25, length=4, seed=seed)
        assert found[:, 0].tolist() == [int(i) % 29 for i in sorted(drawn.tolist())]
    assert (seen[:500].sum(), seen[500:].sum()) == pytest.approx((500, 500), abs=80)


def test_a_text_of_a_hundred_tokens_is_one_window_and_is_calibrated(tmp_path):
    opened, network = on_disk(tmp_path, "llama", max_position_embeddings=512)
    path = written(tmp_path, text_of(99))  # and the opening token
    ids = tokens(opened, path)
    assert ids.shape == (1, 100)
    found, _ = targets(opened, network)
    known = c.calibrate(opened, network, found, ids, c.Calibration())
    assert {s.tokens for s in known.values()} == {100}
    assert all(s.heldout is None for s in known.values())


def test_windows_are_256_tokens_or_all_positions(tmp_path):
    path = written(tmp_path, text_of(3000))
    for positions, length in ((64, 64), (512, 256)):
        opened, _ = on_disk(tmp_path / str(positions), "llama", max_position_embeddings=positions)
        assert tokens(opened, path, windows=3).shape == (3, length)
        assert tokens(opened, path, windows=3, length=40).shape == (3, 40)


def test_none_is_the_bundled_calibration_text_read_by_the_models_own_tokenizer():
    opened = OpenedModel.open(sample.MODEL)
    found = tokens(opened, None, windows=10_000_000)
    tokenizer = opened.tokenizer()
    whole = tokenizer(sample.text("calibration").strip(), add_special_tokens=False, verbose=False)
    stream = [tokenizer.bos_token_id, *whole["input_ids"]]
    assert found.flatten().tolist() == stream[: len(stream) // 256 * 256]
    assert ct.name_of(None) == "bundled calibration text"


def test_each_document_of_a_table_of_lines_is_opened(llama, tmp_path):
    lines = "\n".join(json.dumps({"text": words}) for words in ("the sky", "red rose two", "is"))
    found = tokens(llama, written(tmp_path, lines, "a.jsonl"), windows=3, length=9)
    expected = [BOS, *ids_of("the sky"), BOS, *ids_of("red rose two"), BOS, *ids_of("is")]
    assert found.tolist() == [expected]
    with pytest.raises(BadInput, match=r'line 2 of b.jsonl holds no \{"text"'):
        tokens(llama, written(tmp_path, '{"text": "a"}\n{"words": "b"}', "b.jsonl"))


def test_masked_models_read_windows_between_their_ends(bert, tmp_path):
    path = written(tmp_path, text_of(20))
    found = tokens(bert, path, windows=4, length=7)
    assert [[w[0], w[-1]] for w in found.tolist()] == [[CLS, SEP]] * 4
    assert found[:, 1:-1].flatten().tolist() == ids_of(text_of(20))
    short = tokens(bert, written(tmp_path, "the sky"), length=7)
    assert short.tolist() == [[CLS, *ids_of("the sky"), SEP]]


def test_ids_are_read_as_they_are_given(llama, bert, tmp_path):
    path = str(tmp_path / "ids.npy")
    np.save(path, np.arange(20) % 29)
    for model in (llama, bert):
        assert tokens(model, path, windows=9, length=5).flatten().tolist() == list(range(20))


def test_what_is_asked_of_each_kind_of_model(llama, bert, tmp_path):
    ids = tokens(llama, written(tmp_path, text_of(60)), length=20)
    inputs, asked = ct.questions(llama, ids, 0)
    assert torch.equal(inputs, ids)
    assert torch.equal(asked[:, :-1], ids[:, 1:])
    assert not ct.asked(asked)[:, -1].any()

    ids = tokens(bert, written(tmp_path, text_of(180)), length=20)
    inputs, asked = ct.questions(bert, ids, 0)
    masked = ct.asked(asked)
    assert (inputs[masked] == MASK).all()
    assert torch.equal(inputs[~masked], ids[~masked])
    assert torch.equal(asked[masked], ids[masked])
    assert masked.sum(1).tolist() == [2] * 10  # 15 % of 18
    assert not masked[:, [0, -1]].any()
    assert not torch.equal(masked, ct.asked(ct.questions(bert, ids, 1)[1]))

    encoder, _ = on_disk(tmp_path / "encoder", "encoder")
    assert ct.questions(encoder, ids, 0) == (ids, None)


def test_the_fingerprint_is_that_of_the_windows():
    ids = torch.arange(12).view(3, 4)
    assert c.fingerprint(ids) == c.fingerprint(ids.clone())
    assert c.fingerprint(ids) != c.fingerprint(ids.view(4, 3))
    assert c.fingerprint(ids) != c.fingerprint(ids + 1)


@pytest.fixture
def hub(monkeypatch):
    """A library of data sets that has one."""
    asked = []

    def load_dataset(name, config, split):
        asked.append((name, config, split))
        if name == "other/columns":
            return SimpleNamespace(column_names=["question", "answer"])
        if name != "some/set":
            raise FileNotFoundError(f"Dataset '{name}' doesn't exist\nmore words")
        rows = {"text": ["the sky", "", "is blue"]}
        return type("Rows", (dict,), {"column_names": ["text"]})(rows)

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    return asked


def test_data_sets_of_the_hub_are_documents(llama, hub):
    expected = [[BOS, *ids_of("the sky"), BOS, *ids_of("is blue")]]
    for name in ("hf:some/set", "hf:some/set:", "hf:some/set:plain", "hf:some/set:plain:test[:9]"):
        assert tokens(llama, name).tolist() == expected
    assert hub == [
        ("some/set", None, "train"),
        ("some/set", None, "train"),
        ("some/set", "plain", "train"),
        ("some/set", "plain", "test[:9]"),
    ]
    assert ct.name_of("hf:some/set:plain") == "hf:some/set:plain"


def test_data_sets_that_cannot_be_had_are_sentences(llama, hub, monkeypatch):
    with pytest.raises(BadInput, match=r"cannot be loaded \(Dataset 'no/set' doesn't exist\)"):
        tokens(llama, "hf:no/set")
    with pytest.raises(BadInput, match="no column text but question, answer"):
        tokens(llama, "hf:other/columns")
    with pytest.raises(BadInput, match="names no dataset: write hf:NAME"):
        tokens(llama, "hf::plain")
    monkeypatch.setitem(sys.modules, "datasets", None)  # as if it were not installed
    with pytest.raises(BadInput, match="needs the package datasets"):
        tokens(llama, "hf:some/set")


def test_texts_and_settings_that_do_not_do_are_sentences(llama, bert, tmp_path):
    path = written(tmp_path)
    with pytest.raises(BadInput, match=r"0 calibration windows .* at least 1"):
        tokens(llama, path, windows=0)
    with pytest.raises(BadInput, match="64 positions, and windows of 65 tokens"):
        tokens(llama, path, length=65)
    with pytest.raises(BadInput, match="windows of 2 tokens hold nothing"):
        tokens(bert, path, length=2)
    with pytest.raises(BadInput, match="windows of 1 token predict nothing"):
        tokens(llama, path, length=1)
    assert tokens(llama, path, length=1, gradient="none").shape == (64, 1)
    with pytest.raises(BadInput, match="cannot be read"):
        tokens(llama, str(tmp_path / "none.txt"))
    with pytest.raises(BadInput, match="is empty"):
        tokens(llama, written(tmp_path, " \n", "empty.txt"))
    with pytest.raises(ValueError, match="expected a gradient"):
        tokens(llama, path, gradient="most")


def test_models_that_a_text_does_not_do_for_are_sentences(tmp_path):
    saved("t5", tmp_path)
    np.save(tmp_path / "ids.npy", np.arange(9))
    with pytest.raises(NotRunnable, match="reads one text and writes another"):
        tokens(OpenedModel.open(tmp_path), str(tmp_path / "ids.npy"))
    bare = OpenedModel.open(tmp_path)
    with pytest.raises(NotRunnable):
        tokens(bare, None)
