"""An adapter shrunk from the command line, by the real stages, and what is then on disk."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from analysis.compress.trials.row import Row
from analysis.networks.opened import OpenedModel
from jobs.__main__ import main
from jobs.commands import trial_table
from tests.analysis.compress.test_lora import adapted
from tests.analysis.tiny_transformers import SIZES, tiny
from tests.analysis.weights import adapters

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")
SETTINGS = ("windows=4", "window=16")
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    tiny("llama").save_pretrained(tmp_path / "base")
    adapters.save("lora", tiny("llama"), tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_config.json"
    config = json.loads(path.read_text()) | {"base_model_name_or_path": "../base"}
    path.write_text(json.dumps(config))
    np.save(tmp_path / "ids.npy", np.random.default_rng(0).integers(0, SIZES["vocab_size"], 400))
    return tmp_path / "adapter"


def test_a_row_of_before_there_were_notes_is_listed_without_them() -> None:
    row: dict[str, Any] = dict.fromkeys(f.name for f in fields(Row)) | {
        "label": "svd, 50 %", "status": "done", "method": "svd", "allocation": "", "form": "",
        "compensation": "none", "metric": "loss", "bytes": 10, "of_bytes": 20, "warnings": "",
        "kept_linear": 0.5, "kept_model": 0.6,
    }  # fmt: skip
    absent = dict.fromkeys(("notes", "beside", "base_score", "worth"), float("nan"))
    for old in (row | absent, {name: row[name] for name in row if name not in absent}):
        said = "\n".join(trial_table.lines(pd.DataFrame([old])))
        assert "kept (linears)" in said
        assert "dense: 20 B" in said
        assert "nan" not in said
        assert "base alone" not in said


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize("form", ["factored", "merged"])
def test_a_shrunk_adapter_is_measured_and_written(
    home: Path, adapter: Path, form: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKSCOPE_HOME", str(home))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    out = adapter.parent / "small"
    words = f"trial {adapter} --method lora_shrink --keep 0.5 --local --out {out} --export {form}"
    more = [word for setting in SETTINGS for word in ("--set", setting)]
    texts = ["--evaluate", str(adapter.parent / "ids.npy")]
    assert main([*words.split(), *texts, *more]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "lora shrink, uniform 50.0% " in said
    assert "note: Shares are of the " in said
    assert "kept (adapter)" in said
    assert "whole adapter: " in said
    assert "dense" not in said.replace("dense-size", "")
    # The base alone is measured too, once, and is another model than the whole adapter.
    told = r"whole adapter: [^,]*, perplexity ([\d.]+) base alone: perplexity ([\d.]+), Δloss [+-]"
    found = re.search(told, said)
    assert found is not None
    whole_one, alone = found.groups()
    assert float(whole_one) != float(alone)
    ids = torch.from_numpy(np.load(adapter.parent / "ids.npy")[None, :16])
    with torch.no_grad():
        if form == "merged":
            logits = OpenedModel.open(out).network()(input_ids=ids).logits
        else:
            logits = adapted(adapter.parent / "base", out)(input_ids=ids).logits
        whole = OpenedModel.open(adapter).network()(input_ids=ids).logits
        bare = tiny("llama")(input_ids=ids).logits
    # Half of an adapter is nearer to all of it than none is.
    assert 0 < (logits - whole).norm() < (bare - whole).norm()
