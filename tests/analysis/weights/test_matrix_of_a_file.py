"""A matrix read from a file is what `Matrix` decomposes."""

import pytest
import torch
from safetensors.torch import save_file

from analysis.weights import fingerprint, load, matrix_key, open_model
from analysis.weights.matrix import Matrix


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_singular_values_come_from_the_stored_entries(tmp_path, dtype):
    planted = torch.diag(torch.tensor([4.0, 2.0, 1.0, 0.5])).repeat(3, 1).to(dtype)
    save_file({"w": planted}, tmp_path / "a.safetensors")
    [ref] = open_model(tmp_path / "a.safetensors").matrices()
    matrix = Matrix(load(ref), ref.label, matrix_key(ref, fingerprint(ref)))

    assert matrix.dense().equal(planted)
    assert matrix.dtype == ref.dtype == str(dtype).removeprefix("torch.")
    expected = 3**0.5 * torch.tensor([4.0, 2.0, 1.0, 0.5], dtype=torch.float64)
    torch.testing.assert_close(matrix.singular_values(), expected)


def test_rows_outside_the_matrix_are_not_there(tmp_path):
    save_file({"w": torch.ones(5, 3)}, tmp_path / "a.safetensors")
    [ref] = open_model(tmp_path / "a.safetensors").matrices()

    assert load(ref).rows(3, 9).shape == (2, 3)
    assert load(ref).rows(5, 9).shape == (0, 3)
    assert load(ref).rows(0, 0).shape == (0, 3)
