"""Views and lazy reading against plain indexing."""

import json

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from safetensors.torch import save_file

from analysis.weights import MatrixRef, load, open_model
from analysis.weights import reading as reader
from analysis.weights.matrix import Label
from analysis.weights.views import Span, View


@st.composite
def spans(draw):
    period, times = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    start = draw(st.integers(0, period - 1))
    return Span(start, draw(st.integers(start + 1, period)), period, period * times)


def indices(span):
    return [span.index(i) for i in range(span.length)]


@given(spans())
def test_a_span_lists_the_same_part_of_every_period(span):
    naive = [i for i in range(span.size) if span.start <= i % span.period < span.stop]

    assert indices(span) == naive


@given(spans(), st.data())
def test_a_run_is_a_piece_of_the_span(span, data):
    width = span.stop - span.start
    first = data.draw(st.integers(0, span.length - 1))
    length = data.draw(st.integers(1, width - first % width))

    assert indices(span.run(first, first + length)) == indices(span)[first : first + length]


def test_a_run_across_a_gap_is_refused():
    with pytest.raises(ValueError, match="expected one run of 2"):
        Span(0, 2, 4, 8).run(1, 3)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    path = tmp_path_factory.mktemp("views") / "a.safetensors"
    save_file({"w": torch.arange(8.0 * 6 * 4).reshape(8, 6, 4)}, path)
    return str(path)


@settings(max_examples=25)
@given(st.data())
def test_rows_of_any_view_are_the_tensors_own_entries(stored, data):
    tensor = torch.arange(8.0 * 6 * 4).reshape(8, 6, 4)
    chosen = tuple(data.draw(st.sampled_from(some_spans(n))) for n in tensor.shape)
    row_axis = data.draw(st.integers(0, 2))
    view = View(chosen, row_axis)
    naive = tensor[torch.meshgrid(*(torch.tensor(indices(s)) for s in chosen), indexing="ij")]
    naive = naive.movedim(row_axis, 0).flatten(1)
    start = data.draw(st.integers(0, view.shape[0] - 1))
    stop = data.draw(st.integers(start + 1, view.shape[0]))
    label = Label("w", "w", "w", None)
    rows = load(MatrixRef(label, stored, "w", view.shape, "float32", view))

    assert view.shape == naive.shape == rows.shape
    assert rows.rows(start, stop).equal(naive[start:stop])


def some_spans(size):
    contiguous = [Span.all(size), Span(1, 3, size, size), Span(size - 1, size, size, size)]
    return [*contiguous, Span(0, 1, 2, size), Span(1, 2, 2, size)]


def test_a_block_of_rows_reads_no_other_rows(tmp_path, monkeypatch):
    asked, read = [], reader.read
    save_file({"w": torch.ones(50, 6)}, tmp_path / "a.safetensors")
    [ref] = open_model(tmp_path / "a.safetensors").matrices()
    monkeypatch.setattr(reader, "read", lambda *of: asked.append(of[2]) or read(*of))
    load(ref).rows(10, 20)

    assert asked == [(slice(10, 20), slice(0, 6))]


def test_references_survive_json(family):
    for name in ("gpt2", "falcon-grouped", "vit"):
        for ref in open_model(family(name)[0]).matrices(heads=True, slices=True):
            assert MatrixRef.from_dict(json.loads(json.dumps(ref.to_dict()))) == ref
