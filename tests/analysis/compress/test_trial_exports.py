"""A saved trial as one file to download, which loads as the model that was measured."""

import json
import zipfile

import pytest
import torch
import transformers

from analysis.compress.export import loading
from analysis.compress.lora.adapter import NothingToWrite
from analysis.compress.trials.exporting import export
from analysis.compress.trials.specs import Spec
from tests.analysis.compress.staged import logits, ranked, staged

pytestmark = pytest.mark.usefixtures("one_thread")
SPECS = {
    "ranks": ranked("two_sided_svd", 0.625),
    "rounded": Spec("rtn", {"bits": "4"}, compensation="eora", compensation_rank=2),
    "tucker": Spec("tucker", kept=0.85),
}


@pytest.fixture(scope="module", params=["gpt2", "half"])
def stages(request, tmp_path_factory):
    return staged(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def saved(stages):
    return {name: stages.saved(spec) for name, spec in SPECS.items()}


def unpacked(stages, weights, form, folder):
    path = export(stages.opened, weights, form, folder)
    with zipfile.ZipFile(path) as file:
        names = file.namelist()
        file.extractall(folder / "unpacked")
    # Everything lies in one folder, called as the file is.
    assert {name.partition("/")[0] for name in names} == {path.stem}
    return folder / "unpacked" / path.stem


def ordinary(folder):
    """The model as transformers alone reads it."""
    network = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    network.config.use_cache = False
    return network


def allowed(stages):
    """W' itself is rounded to the file's dtype, in place of its factors: 2^-11 in each layer."""
    dtype = next(iter(stages.opened.source.run.tensors())).dtype
    return 1e-5 if dtype == "float32" else 5e-3


@pytest.mark.parametrize("name", SPECS)
def test_factored_loads_as_what_was_measured(stages, saved, name, tmp_path):
    row, weights = saved[name]
    folder = unpacked(stages, weights, "factored", tmp_path)
    assert torch.equal(logits(loading.load(folder)), logits(stages.made(SPECS[name]).network))
    assert (folder / "model.safetensors").stat().st_size == row.bytes
    record = json.loads((folder / "trial.json").read_text())
    assert record["method"] == SPECS[name].full_name
    assert record["kept_linears"] == row.kept_linear


@pytest.mark.parametrize("name", SPECS)
def test_merged_is_an_ordinary_checkpoint(stages, saved, name, tmp_path):
    _, weights = saved[name]
    folder = unpacked(stages, weights, "merged", tmp_path)
    expected = logits(stages.made(SPECS[name]).network)
    off = (logits(ordinary(folder)) - expected).abs().max()
    assert off < allowed(stages) * expected.abs().max()


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")
def test_a_compensation_is_an_adapter_with_its_base(stages, saved, tmp_path):
    _, weights = saved["rounded"]
    import peft

    folder = unpacked(stages, weights, "adapter", tmp_path)
    base = ordinary(folder / "base")
    expected = logits(stages.made(SPECS["rounded"]).network)
    off = (logits(base) - expected).abs().max()
    adapted = peft.PeftModel.from_pretrained(base, folder / "adapter").eval()
    close = (logits(adapted) - expected).abs().max()
    assert close < 0.1 * off
    assert close < allowed(stages) * expected.abs().max()


def test_without_a_compensation_there_is_no_adapter(stages, saved, tmp_path):
    _, weights = saved["ranks"]
    with pytest.raises(NothingToWrite):
        export(stages.opened, weights, "adapter", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_is_called_after_its_model_method_and_size(stages, saved, tmp_path):
    _, weights = saved["ranks"]
    assert export(stages.opened, weights, "factored", tmp_path).name == (
        "model-two_sided_svd-62.5-factored.zip"
    )
    _, weights = saved["rounded"]
    assert export(stages.opened, weights, "merged", tmp_path).name == "model-rtn-bits-4-merged.zip"
    assert len(list(tmp_path.iterdir())) == 2  # no draft is left
