"""Every real model that the tests are given opens, and every matrix of it can be read."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from analysis import sample
from analysis.weights import BadModel, fingerprint, load, matrix_key, open_model
from analysis.weights.adapters import read_adapter_config
from analysis.weights.matrix import Matrix
from tests.analysis.weights.adapters import added
from tests.models.folders import given

pytestmark = pytest.mark.models


@pytest.mark.parametrize("folder", given(adapters=False))
def test_every_model_opens_and_every_matrix_is_read(folder):
    source = open_model(folder)
    refs = source.matrices(heads=True, slices=True)

    assert refs
    assert source.parameters > 0
    assert all(t.reason or t.state == "matrix" for t in source.tensors())
    assert len({ref.label.layer for ref in refs}) == len(refs)
    stored = {(ref.file, ref.tensor): ref for ref in refs}
    digests = {place: fingerprint(ref) for place, ref in stored.items()}
    assert len({matrix_key(r, digests[r.file, r.tensor]) for r in refs}) == len(refs)
    for ref in refs:
        rows = load(ref)
        block = rows.rows(0, rows.shape[0])
        assert tuple(block.shape) == ref.shape
        assert block.isfinite().all()
        assert str(block.dtype) == f"torch.{ref.dtype}"


@pytest.mark.parametrize("folder", given(adapters=False))
def test_every_step_of_a_series_opens(folder):
    source = open_model(folder)
    layers = [ref.label.layer for ref in source.matrices()]

    for step in source.steps:
        assert [ref.label.layer for ref in source.matrices(step=step.number)] == layers


@pytest.mark.parametrize("folder", given(adapters=True))
def test_an_adapter_opens_on_the_base_that_it_names(folder):
    source = open_model(folder)
    rank = read_adapter_config(folder)["r"]
    refs = source.matrices(heads=True)

    assert source.kind == "adapter"
    assert {info.state for info in source.tensors()} == {"matrix"}
    for ref in refs:
        matrix = Matrix(load(ref), ref.label, matrix_key(ref, fingerprint(ref)))
        own = matrix.spectrum()
        naive = np.linalg.svd(matrix.dense().numpy(), compute_uv=False)
        assert 0 < (own.values > own.noise_floor).sum() <= rank
        assert own.values == pytest.approx(naive, abs=1e-12 * naive[0])


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")
@pytest.mark.parametrize("folder", given(adapters=True))
def test_an_adapters_updates_are_those_that_peft_merges(folder):
    source = open_model(folder)
    refs = source.matrices()
    base = AutoModelForCausalLM.from_pretrained(source.base.path, dtype=torch.float32)
    expected = added(base, folder)

    assert {ref.tensor for ref in refs} == set(expected)
    for ref in refs:
        found = load(ref).rows(0, ref.shape[0])
        assert (found - expected[ref.tensor]).abs().max() < 1e-12


@pytest.mark.parametrize("folder", given(adapters=True))
def test_another_real_model_is_not_its_base(folder):
    with pytest.raises(BadModel, match=r"made for another model: .*give its base with --base"):
        open_model(folder, base=sample.MODEL)
