"""Every real model that the tests are given opens, and every matrix of it can be read."""

import pytest

from analysis.weights import BadModel, fingerprint, load, matrix_key, open_model
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
def test_an_adapter_is_listed_as_not_yet_supported(folder):
    with pytest.raises(BadModel, match="is a PEFT adapter: not supported yet"):
        open_model(folder)
