"""A fine-tuned model against its base: the difference, what is left out, and how sure it is."""

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from analysis.spectrum import Params, spectrum
from analysis.weights import BadModel, files_of, fingerprint, load, matrix_key, open_model
from analysis.weights.matrix import Matrix, ZeroMatrix
from tests.matrices import gauss, planted


def matrix_of(ref):
    return Matrix(load(ref), ref.label, matrix_key(ref, fingerprint(ref)))


def save(path, shapes):
    save_file({name: torch.ones(shape) for name, shape in shapes.items()}, path)


@pytest.fixture
def tuned(family, tmp_path):
    """A copy of GPT-2 whose block 0 has other weights; the base."""
    base, _ = family("gpt2")
    shutil.copytree(base, tmp_path / "tuned")
    path = tmp_path / "tuned" / "model.safetensors"
    tensors = load_file(path)
    generator = torch.Generator().manual_seed(0)
    for name, value in tensors.items():
        if ".h.0." in name:
            tensors[name] = value + torch.randn(value.shape, generator=generator)
    save_file(tensors, path, metadata={"format": "pt"})
    return tmp_path / "tuned", base


def test_each_update_is_the_difference_in_the_bases_views(tuned, dense):
    folder, base = tuned
    source = open_model(folder, base=base)
    whole = {ref.label.layer: ref for ref in open_model(base).matrices(heads=True)}
    other = {ref.label.layer: ref for ref in open_model(folder).matrices(heads=True)}
    refs = source.matrices(heads=True)

    assert (source.kind, source.base.path) == ("delta", base.resolve())
    assert source.parameters == open_model(folder).parameters
    assert [ref.label.layer for ref in refs] == list(whole)
    for ref in refs:
        layer = ref.label.layer
        assert ref.label.view in {"delta", f"delta {whole[layer].label.view}"}
        expected = dense(other[layer]).double() - dense(whole[layer]).double()
        assert torch.equal(dense(ref), expected)
        assert len(files_of(ref)) == 2
        assert matrix_of(ref).factors() is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_rows_lose_nothing_that_their_rounding_has_not(tmp_path, dtype):
    generator = torch.Generator().manual_seed(0)
    base, other = (torch.randn(30, 20, generator=generator).to(dtype) for _ in range(2))
    save_file({"w": base}, tmp_path / "base.safetensors")
    save_file({"w": other}, tmp_path / "tuned.safetensors")
    [ref] = open_model(
        tmp_path / "tuned.safetensors", base=tmp_path / "base.safetensors"
    ).matrices()
    matrix = matrix_of(ref)
    exact = other.double() - base.double()
    floor = matrix.spectrum().noise_floor

    assert matrix.dtype == ("float64" if dtype == torch.float32 else "float32")
    assert torch.linalg.matrix_norm(matrix.dense().double() - exact, 2) < 1e-3 * floor
    assert floor == pytest.approx(
        np.hypot(*(Matrix.of(w).spectrum().noise_floor for w in (other, base))), rel=0.1
    )


def test_a_weight_that_training_left_alone_is_zero(tuned):
    folder, base = tuned
    refs = {ref.label.layer: ref for ref in open_model(folder, base=base).matrices()}
    with pytest.raises(ZeroMatrix):
        list(spectrum(matrix_of(refs["blocks.1.up"]), Params()))
    assert list(spectrum(matrix_of(refs["blocks.0.up"]), Params()))


def test_what_cannot_be_compared_is_listed_with_its_reason(tmp_path):
    shapes = {"a.weight": (4, 3), "norm.weight": (4,)}
    save(tmp_path / "base.safetensors", shapes | {"moved.weight": (4, 3), "lone.weight": (4, 3)})
    save(tmp_path / "tuned.safetensors", shapes | {"moved.weight": (5, 3), "new.weight": (4, 3)})
    source = open_model(tmp_path / "tuned.safetensors", base=tmp_path / "base.safetensors")

    assert [ref.label.layer for ref in source.matrices()] == ["a"]
    assert {info.name: info.reason for info in source.tensors()} == {
        "a.weight": "",
        "moved.weight": "5 x 3 here and 4 x 3 in the base: nothing to compare",
        "norm.weight": "one-dimensional (a norm or a bias)",
        "new.weight": "only in the fine-tuned model: nothing to compare",
        "lone.weight": "only in the base",
    }


def test_names_may_lack_the_prefix_of_the_base(tuned, tmp_path, dense):
    folder, base = tuned
    bare = {
        n.removeprefix("transformer."): v
        for n, v in load_file(folder / "model.safetensors").items()
    }
    save_file(bare, tmp_path / "bare.safetensors")
    expected = {ref.label.layer: dense(ref) for ref in open_model(folder, base=base).matrices()}
    found = {
        r.label.layer: dense(r)
        for r in open_model(tmp_path / "bare.safetensors", base=base).matrices()
    }

    assert found.keys() == expected.keys()
    assert all(torch.equal(found[layer], expected[layer]) for layer in found)


def test_a_model_is_not_its_own_base(family):
    base, _ = family("gpt2")
    with pytest.raises(BadModel, match="is its own base: give another model with --base MODEL"):
        open_model(base, base=base)
    with pytest.raises(BadModel, match="share no weight of one name and shape"):
        open_model(family("llama")[0], base=base)


def test_keys_depend_on_both_and_on_their_order(tuned):
    folder, base = tuned
    there, back = open_model(folder, base=base), open_model(base, base=folder)
    alone = {
        matrix_of(ref).key for source in (folder, base) for ref in open_model(source).matrices()
    }
    keys = [
        {matrix_of(ref).key for ref in source.matrices() if ref.label.block == 0}
        for source in (there, back)
    ]
    assert not keys[0] & keys[1]
    assert not (keys[0] | keys[1]) & alone


def test_checkpoints_against_a_base_are_a_series(tuned, tmp_path):
    folder, base = tuned
    for step in (1, 20):
        shutil.copytree(folder, tmp_path / "run" / f"checkpoint-{step}")
    source = open_model(tmp_path / "run", base=base)
    assert [step.number for step in source.steps] == [1, 20]
    assert source.at(1).matrices()[0].label == source.matrices()[0].label
    assert source.at(1).base.path == base.resolve()


@pytest.mark.parametrize("seed", range(3))
def test_a_merged_update_of_rank_eight_has_rank_eight(tmp_path, seed):
    base = torch.from_numpy(gauss(seed)).bfloat16()
    update = planted(np.geomspace(2, 1, 8), 512, 256, seed + 100)
    update *= 0.1 * torch.linalg.matrix_norm(base.double()) / torch.linalg.matrix_norm(update)
    merged = (base.double() + update).bfloat16()
    save_file({"w": base}, tmp_path / "base.safetensors")
    save_file({"w": merged}, tmp_path / "tuned.safetensors")
    [ref] = open_model(
        tmp_path / "tuned.safetensors", base=tmp_path / "base.safetensors"
    ).matrices()
    [row] = spectrum(matrix_of(ref), Params())
    exact = np.linalg.svd(update.numpy(), compute_uv=False)[:8]
    p = exact / exact.sum()

    assert (row.basis, row.effective_dtype) == ("σ above the noise floor", "bfloat16")
    assert row.numerical_rank == 8
    # Each of the eight is off by the rounding's own norm at most, which the floor bounds.
    assert row.effective_rank_sigma == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=0.02)
    naive = np.linalg.svd((merged.double() - base.double()).numpy(), compute_uv=False)
    assert (naive > naive[0] * 512 * np.finfo(np.float64).eps).sum() > 200  # what the floor is for
