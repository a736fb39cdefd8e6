import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from analysis import weights
from analysis.registry import AnalysisError
from jobs import worker
from jobs.tasks import Outcome
from tests.jobs import made_up, tiny
from tests.jobs.made_up import Memory, Row


def ref_of(folder: Path, layer: str) -> Any:
    return next(r for r in weights.open_model(folder).matrices() if r.label.layer == layer)


def run(ref: Any, function: Any, recall: Memory | None = None, **more: Any) -> Outcome:
    with made_up.analysis(function):
        return worker.run_unit(made_up.task(ref, **more), recall or Memory())


def top(matrix: Any, params: Any) -> Any:
    yield Row(params.factor * matrix.singular_values()[0].item(), matrix.label.layer)


def test_a_unit_yields_typed_rows_its_spectrum_and_what_to_remember(model: Path) -> None:
    ref = ref_of(model, "blocks.1.v")
    outcome = run(ref, top)
    stored = tiny.tensors()["model.layers.1.self_attn.v_proj.weight"].double()
    exact = torch.linalg.svdvals(stored)
    assert outcome.state == "done"
    assert outcome.rows is not None
    assert outcome.spectra is not None
    assert outcome.rows.to_pylist() == [
        {"top": pytest.approx(exact[0].item(), rel=1e-12), "name": "blocks.1.v", "array": None}
    ]
    [spectrum] = outcome.spectra.to_pylist()
    assert spectrum["key"] == outcome.matrix_key
    np.testing.assert_allclose(spectrum["s"], exact.numpy(), rtol=1e-10)
    [remember] = outcome.remember
    assert remember[0] == str(model / "model.safetensors")
    assert remember[3:] == (ref.tensor, weights.fingerprint(ref))
    assert outcome.unit["inputs"] == [outcome.matrix_key]
    assert outcome.unit["seconds"] > 0


def test_the_key_is_of_content_and_inputs_and_not_of_the_place(model: Path, tmp_path: Path) -> None:
    here = run(ref_of(model, "blocks.0.q"), top)
    copy = run(ref_of(tiny.save(tmp_path / "copy"), "blocks.0.q"), top)
    other = run(ref_of(model, "blocks.0.k"), top)
    inputs = run(ref_of(model, "blocks.0.q"), top, inputs={"factor": 2.0})
    assert here.key == copy.key
    assert len({here.key, other.key, inputs.key}) == 3


def test_a_stored_result_is_known_and_its_function_not_called(model: Path) -> None:
    ref = ref_of(model, "blocks.0.q")
    memory = Memory()
    first = run(ref, top, memory)
    assert memory.started == [first.key]
    memory.units[first.key] = "done"

    def never(matrix: Any, params: Any) -> Any:
        raise AssertionError

    again = run(ref, never, memory)
    assert (again.state, again.key) == ("known", first.key)
    assert memory.started == [first.key]


def test_a_stored_spectrum_is_recalled_and_not_decomposed_again(model: Path) -> None:
    memory = Memory()
    ref = ref_of(model, "blocks.0.q")
    key = weights.matrix_key(ref, weights.fingerprint(ref))
    planted = np.linspace(9, 1, tiny.HIDDEN)
    from analysis.weights.matrix import Spectrum

    memory.spectra[key] = Spectrum(key, planted, tiny.HIDDEN, tiny.HIDDEN)
    outcome = run(ref, top, memory)
    assert outcome.rows is not None
    assert outcome.rows.column("top").to_pylist() == [9.0]
    assert outcome.spectra is None


@pytest.mark.parametrize(
    ("raised", "sentence"),
    [
        (AnalysisError("the tail is empty: give more values"), "the tail is empty"),
        (ZeroDivisionError("float division by zero"), "ZeroDivisionError: float division by zero"),
        (MemoryError(), "blocks.0.q does not fit in memory"),
        (FileNotFoundError(2, "No such file or directory", "/gone"), "/gone cannot be read"),
    ],
)
def test_whatever_an_analysis_raises_is_a_sentence_of_its_unit(
    model: Path, raised: Exception, sentence: str
) -> None:
    def failing(matrix: Any, params: Any) -> Any:
        raise raised
        yield

    outcome = run(ref_of(model, "blocks.0.q"), failing)
    assert outcome.state == "failed"
    assert sentence in outcome.message
    assert "\n" not in outcome.message
    assert outcome.unit["state"] == "failed"
    assert outcome.rows is None


def test_a_row_that_does_not_fit_its_columns_fails_its_unit(model: Path) -> None:
    outcome = run(ref_of(model, "blocks.0.q"), lambda m, p: iter([Row(top="high")]))  # type: ignore[arg-type]
    assert outcome.state == "failed"
    assert "made_up stopped on blocks.0.q" in outcome.message


def test_a_file_that_is_gone_fails_the_unit(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "going")
    ref = ref_of(folder, "blocks.0.q")
    (folder / "model.safetensors").unlink()
    outcome = run(ref, top)
    assert outcome.state == "failed"
    assert "model.safetensors cannot be read" in outcome.message


@pytest.mark.parametrize("measured", [True, False])
def test_an_all_zero_matrix_has_status_zero(tmp_path: Path, measured: bool) -> None:
    zeros = torch.zeros(tiny.HIDDEN, tiny.HIDDEN).half()
    folder = tiny.save(tmp_path / "zero", model__layers__0__self_attn__q_proj__weight=zeros)
    outcome = run(ref_of(folder, "blocks.0.q"), top if measured else lambda m, p: iter(()))
    assert (outcome.state, outcome.rows) == ("zero", None)
    assert "every entry is zero" in outcome.message


def test_a_matrix_without_a_row_that_is_not_zero_is_done(model: Path) -> None:
    assert run(ref_of(model, "blocks.0.q"), lambda m, p: iter(())).state == "done"


def test_a_nan_fails_its_unit_and_names_the_layer(tmp_path: Path) -> None:
    damaged = torch.ones(tiny.HIDDEN, tiny.HIDDEN).half()
    damaged[3, 4] = float("nan")
    folder = tiny.save(tmp_path / "nan", model__layers__0__self_attn__q_proj__weight=damaged)
    outcome = run(ref_of(folder, "blocks.0.q"), top)
    assert outcome.state == "failed"
    assert "blocks.0.q" in outcome.message
    assert "NaN" in outcome.message


def test_arrays_come_apart_as_npy_files(model: Path) -> None:
    array = np.arange(6, dtype=np.float16).reshape(2, 3)
    outcome = run(ref_of(model, "blocks.0.q"), lambda m, p: iter([Row(1.0, array=array)]))  # type: ignore[arg-type]
    assert outcome.rows is not None
    [[sha256, content]] = outcome.arrays.items()
    [described] = outcome.rows.column("array").to_pylist()
    assert described["sha256"] == sha256
    assert described["shape"] == [2, 3]
    np.testing.assert_array_equal(np.load(io.BytesIO(content)), array)


def test_threads_are_set_at_the_start_of_each_task(model: Path) -> None:
    before = torch.get_num_threads()

    def threads(matrix: Any, params: Any) -> Any:
        yield Row(float(torch.get_num_threads()))

    try:
        torch.set_num_threads(2)
        outcome = run(ref_of(model, "blocks.0.q"), threads)
    finally:
        torch.set_num_threads(before)
    assert outcome.rows is not None
    assert outcome.rows.column("top").to_pylist() == [1.0]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_gpu_that_torch_does_not_see_is_a_sentence(model: Path) -> None:
    outcome = run(ref_of(model, "blocks.0.q"), top, device="cuda")
    assert outcome.state == "failed"
    assert "use --device cpu" in outcome.message


def test_stored_spectra_reach_an_analysis_with_their_labels(model: Path) -> None:
    first = run(ref_of(model, "blocks.0.q"), top)
    assert first.spectra is not None
    memory = Memory()
    from analysis.weights.matrix import Spectrum

    memory.spectra["k"] = Spectrum("k", np.array([3.0, 2.0]), 2, 2)
    label = dataclasses.asdict(ref_of(model, "blocks.0.q").label)
    detail = {**label, "rows": 2, "cols": 2, "dtype": "float16", "matrix_key": "k"}

    def tops(layers: Any, params: Any) -> Any:
        for layer in layers:
            yield Row(float(layer.spectrum.values[0]), f"{layer.label.layer} {layer.dtype}")

    with made_up.analysis(tops, unit="spectra"):
        outcome = worker.run_unit(made_up.task(spectra=[detail]), memory)
    assert outcome.rows is not None
    assert outcome.rows.to_pylist() == [{"top": 3.0, "name": "blocks.0.q float16", "array": None}]
