"""Which tokens are measured: presets, samples of windows, bytes of the scored tokens."""

import json

import numpy as np
import pytest
import torch

from analysis import sample
from analysis.evaluate.documents import documents
from analysis.evaluate.markers import left_in
from analysis.evaluate.protocol import Protocol, _tokenised, windows
from analysis.networks.errors import BadInput
from analysis.networks.opened import OpenedModel
from tests.analysis.evaluate.small_models import KNOWN, TEXT, on_disk, written

STORIES = "the sky is blue\n<|endoftext|>\n one two <|endoftext|>\n"


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return on_disk(tmp_path_factory.mktemp("llama"), "llama")[0]


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return on_disk(tmp_path_factory.mktemp("bert"), "bert")[0]


def ids(words):
    return [KNOWN[word] for word in words.split()]


def test_one_opening_token_before_each_document(llama, tmp_path):
    path = written(tmp_path, STORIES)
    found = windows(llama, path, Protocol("bos-per-document", window=4, first=True))
    assert found.ids.flatten().tolist() == ids("<s> the sky is blue <s> one two")
    assert "2 of them (opening token <s>)" in found.description
    assert "2 windows of 4 tokens that do not overlap, all there are" in found.description


@pytest.mark.parametrize("preset", ["wikitext", "bos-per-document"])
def test_what_a_preset_splits_at_is_no_surprise(llama, tmp_path, preset):
    found = windows(llama, written(tmp_path, STORIES), Protocol(preset, window=4))
    assert found.warnings == ()
    plain = windows(llama, written(tmp_path, TEXT, "b.txt"), Protocol("stream", window=4))
    assert plain.warnings == ()


def test_a_marker_in_a_stream_is_said_to_be_read_as_it_is(llama, tmp_path):
    """This tokenizer has no such token, and one word of it for what it does not know."""
    found = windows(llama, written(tmp_path, STORIES), Protocol("stream", window=9, first=True))
    assert found.ids[0].tolist() == ids("<s> the sky is blue [UNK] one two [UNK]")
    [said] = found.warnings
    assert said.startswith('text.txt holds <|endoftext|> 2 times, where preset "stream" does not')
    assert "has no such token and reads it as [UNK], which is predicted" in said
    assert 'Choose preset "bos-per-document"' in said


def test_a_marker_that_is_a_token_is_said_to_be_the_separator():
    opened = OpenedModel.open(sample.MODEL)
    tokenizer = opened.tokenizer()
    own = tokenizer("one<|endoftext|>two", add_special_tokens=False)["input_ids"]
    [said] = left_in(tokenizer, ["one<|endoftext|>two"], "a.txt", "stream")
    [at] = [i for i in own if tokenizer.decode(i) == "<|endoftext|>"]
    assert "holds <|endoftext|> once" in said
    assert f"one token, its separator of documents (id {at})" in said
    lines = left_in(tokenizer, ["one<|endoftext|>two"], "a.jsonl", "bos-per-document")[0]
    assert "on lines of their own" in lines
    assert "Choose preset" not in lines


def test_lines_of_a_jsonl_are_documents(llama, tmp_path):
    lines = [{"text": " the sky "}, {"text": "is\n<s> blue"}]
    path = written(tmp_path, "\n".join(map(json.dumps, lines)) + "\n", "a.jsonl")
    each = windows(llama, path, Protocol("bos-per-document", window=4, first=True))
    assert each.ids[0].tolist() == ids("<s> the sky <s>")
    once = windows(llama, path, Protocol("wikitext", window=4, first=True))
    assert once.ids[0].tolist() == ids("<s> the sky is")


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("stream", ["a <|endoftext|> b <|endoftext|>"]),
        ("wikitext", ["a \n\n b "]),
        ("bos-per-document", ["a", "b"]),
    ],
)
def test_presets_say_what_becomes_of_documents(preset, expected):
    assert documents("a <|endoftext|> b <|endoftext|>", "a.txt", preset) == expected


@pytest.mark.parametrize(
    ("text", "name", "preset", "said"),
    [
        ("a", "a.txt", "best", "no preset 'best': choose one of stream"),
        ('{"text": "a"}\n{"words": "b"}', "a.jsonl", "stream", "line 2 of a.jsonl"),
        ("[1]", "a.jsonl", "stream", "line 1 of a.jsonl"),
        (" <|endoftext|> ", "a.txt", "wikitext", "no document with words"),
    ],
)
def test_documents_that_do_not_do_are_a_sentence(text, name, preset, said):
    with pytest.raises(BadInput, match=said):
        documents(text, name, preset)


def test_a_sample_is_drawn_from_the_whole_text_by_its_seed(llama, tmp_path):
    path = written(tmp_path)
    whole = windows(llama, path, Protocol(window=5, windows=0))
    assert whole.ids.flatten().tolist() == [KNOWN["<s>"], *ids(TEXT)][:150]  # 151 // 5 * 5
    some = [windows(llama, path, Protocol(window=5, windows=6, seed=s)).ids for s in (0, 0, 1)]
    assert torch.equal(some[0], some[1])
    assert not torch.equal(some[0], some[2])
    rows = whole.ids.tolist()
    for drawn in some:
        places = [rows.index(row) for row in drawn.tolist()]
        assert places == sorted(set(places))
        assert max(places) > 10  # not the first six
    first = windows(llama, path, Protocol(window=5, windows=6, first=True))
    assert first.ids.tolist() == rows[:6]


def test_a_short_text_is_one_window(llama, tmp_path):
    found = windows(llama, written(tmp_path, "the sky is"), Protocol())
    assert found.ids.tolist() == [ids("<s> the sky is")]
    assert "1 windows of 4 tokens" in found.description


def test_the_default_window_is_256_tokens_or_all_positions(llama):
    assert windows(llama, None, Protocol(windows=3)).ids.shape == (3, 64)
    bundled = OpenedModel.open(sample.MODEL)
    assert windows(bundled, None, Protocol(windows=2)).ids.shape == (2, 256)


def test_an_encoder_reads_between_its_own_ends(bert, tmp_path):
    found = windows(bert, written(tmp_path, "the sky is blue one two ."), Protocol(window=5))
    assert found.ids.tolist() == [ids("[CLS] the sky is [SEP]"), ids("[CLS] blue one two [SEP]")]
    assert found.bytes_scored is None
    assert "2 windows of 5 tokens" in found.description


def test_token_ids_as_given(llama, tmp_path):
    np.save(tmp_path / "ids.npy", np.arange(20))
    found = windows(llama, str(tmp_path / "ids.npy"), Protocol(window=8))
    assert found.ids.tolist() == [list(range(8)), list(range(8, 16))]
    assert found.bytes_scored is None


def test_scored_bytes_are_those_from_token_to_token(llama, tmp_path):
    path = written(tmp_path, "the  café is\nblue two")
    found = windows(llama, path, Protocol(window=3))
    assert found.ids.tolist() == [ids("<s> the café"), ids("is blue two")]
    # "the" and "  café", whose é takes two bytes; then "\nblue" and " two", but not " is".
    assert found.bytes_scored == (3 + 7, 5 + 4)


def test_bytes_are_those_that_decoding_gives():
    tokenizer = OpenedModel.open(sample.MODEL).tokenizer()
    text = sample.text("calibration")[:3000] + "é 中文 \U0001f600 end"
    found, widths = _tokenised(tokenizer, text, tokenizer.bos_token_id)
    assert widths[0] == 0
    assert widths.sum() == len(text.encode())
    plain = len(sample.text("calibration")[:2900])
    decoded = np.cumsum([len(tokenizer.decode([i])) for i in found[1:].tolist()])
    count = int((decoded < plain).sum())
    assert np.array_equal(np.cumsum(widths[1:])[:count], decoded[:count])


def test_a_tokenizer_without_offsets_shares_bytes_out_evenly(llama):
    class Slow:
        is_fast = False

        def __call__(self, text, **_):
            return {"input_ids": ids(text)}

    found, widths = _tokenised(Slow(), "the café is", None)
    assert found.tolist() == ids("the café is")
    assert widths.tolist() == [4, 4, 4]


def test_a_token_that_stands_nowhere_has_no_bytes():
    class Odd:
        is_fast = True

        def __call__(self, text, **_):
            return {"input_ids": [1, 2, 3], "offset_mapping": [(0, 3), (0, 0), (4, 7)]}

    assert _tokenised(Odd(), "the sky", None)[1].tolist() == [3, 0, 4]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"window": 65}, "has 64 positions, and windows of 65"),
        ({"window": 1}, "leave nothing to predict"),
        ({"windows": -1}, "ask for 1 or more, or 0 for all"),
    ],
)
def test_windows_that_cannot_be_are_a_sentence(llama, tmp_path, settings, said):
    with pytest.raises(BadInput, match=said):
        windows(llama, written(tmp_path), Protocol(**settings))
