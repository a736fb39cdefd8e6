"""Spectra are computed once, recalled where they are known, and kept for the store."""

import numpy as np
import pytest
import torch

from analysis.numerics import row_blocks
from analysis.numerics.row_blocks import InMemory, assembled, shuffled_entries
from analysis.weights.labels import noise_key
from analysis.weights.matrix import Label, Matrix, Spectrum
from tests.matrices import planted

LABEL = Label("blocks.0.q", "model.q.weight", "q", 0)


class Counted(InMemory):
    """Rows that count how often they are read."""

    def __init__(self, tensor):
        super().__init__(tensor)
        self.reads = 0

    def rows(self, start, stop):
        self.reads += 1
        return super().rows(start, stop)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(row_blocks, "block_rows", lambda columns: 3)


def test_facts_of_the_stored_matrix():
    subject = Matrix.of(torch.zeros(3, 5, dtype=torch.bfloat16), LABEL, "abc")
    assert (subject.shape, subject.dtype, subject.stored_bytes) == ((3, 5), "bfloat16", 30)
    assert (subject.label, subject.key) == (LABEL, "abc")
    assert subject.dense().dtype == torch.bfloat16


def test_a_vector_is_refused():
    with pytest.raises(ValueError, match=r"expected a matrix, got a tensor of shape \(4,\)"):
        Matrix.of(torch.ones(4))


def test_equal_bytes_have_equal_keys():
    ones = torch.ones(2, 3)
    assert Matrix.of(ones).key == Matrix.of(ones.clone()).key
    assert len({Matrix.of(m).key for m in (ones, ones.T, ones.double(), ones * 2)}) == 4


def test_each_spectrum_is_computed_once_and_kept_for_the_store():
    data = Counted(planted([3, 2, 1], 8, 3))
    subject = Matrix(data, LABEL, "key")
    first = subject.spectrum()
    reads = data.reads
    assert subject.spectrum() is first
    assert subject.singular_values().tolist() == pytest.approx([3, 2, 1])
    assert data.reads == reads
    assert subject.noise(1) is subject.noise(1)
    assert subject.shuffled(1) is subject.shuffled(1)
    assert set(subject.fresh) == {"key", "noise-8x3-seed1", "shuffled-key-seed1"}
    assert all(spectrum.key == key for key, spectrum in subject.fresh.items())


def test_a_known_spectrum_is_recalled_and_nothing_is_read():
    known = {
        key: Spectrum(key, np.array([2.0, 1.0]), 8, 2)
        for key in ("key", "noise-8x2-seed0", "shuffled-key-seed0")
    }
    data = Counted(torch.zeros(8, 2))
    subject = Matrix(data, LABEL, "key", recall=known.get)
    assert [subject.spectrum(), subject.noise(0), subject.shuffled(0)] == list(known.values())
    assert data.reads == 0
    assert subject.fresh == {}


def test_noise_of_the_turned_shape_is_the_same_draw():
    tall, wide = Matrix.of(torch.zeros(9, 4)), Matrix.of(torch.zeros(4, 9))
    assert (wide.noise(3).values == tall.noise(3).values).all()
    known = dict(tall.fresh)
    again = Matrix(InMemory(torch.zeros(4, 9)), LABEL, "key", recall=known.get).noise(3)
    assert (again.key, again.rows, again.cols) == (noise_key(4, 9, 3), 4, 9)
    assert again.values is known[noise_key(9, 4, 3)].values


@pytest.mark.parametrize("shape", [(60, 40), (40, 60)])
def test_noise_is_the_seeded_gaussian_of_variance_one_over_the_longer_side(shape):
    found = Matrix.of(torch.zeros(shape)).noise(5)
    draw = np.random.default_rng(5).standard_normal((60, 40)) / np.sqrt(60)
    assert found.values == pytest.approx(np.linalg.svd(draw, compute_uv=False), rel=1e-9)
    assert (found.noise_floor, found.effective_dtype) == (0.0, "float64")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(30, 20), (20, 30)])
def test_shuffling_keeps_every_entry_and_its_seed(dtype, shape):
    generator = torch.Generator().manual_seed(0)
    tensor = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
    before = tensor.clone()
    entries = [shuffled_entries(InMemory(tensor), seed) for seed in (1, 1, 2)]
    for found in entries:
        assert torch.equal(found.flatten().sort().values, tensor.flatten().sort().values)
    assert torch.equal(entries[0], entries[1])
    assert not torch.equal(entries[0], entries[2])
    assert torch.equal(tensor, before)
    own, mixed = Matrix.of(tensor).spectrum().values, Matrix.of(tensor).shuffled(1).values
    assert (mixed**2).sum() == pytest.approx((own**2).sum())


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("shape", [(31, 7), (7, 31), (5, 5)])
def test_blocks_change_no_spectrum(shape):
    tensor = planted(np.linspace(2, 1, min(shape)), *shape, dtype=torch.float32)
    subject = Matrix.of(tensor)
    expected = np.linalg.svd(tensor.double().numpy(), compute_uv=False)
    assert subject.spectrum().values == pytest.approx(expected, rel=1e-9)
    draw = np.random.default_rng(0).standard_normal((max(shape), min(shape)))
    noise = np.linalg.svd(draw / np.sqrt(max(shape)), compute_uv=False)
    assert subject.noise(0).values == pytest.approx(noise, rel=1e-6)
    assert torch.equal(assembled(InMemory(tensor)), tensor)
