"""A sweep from the command line to a model on disk, by the real stages, on a tiny Llama."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.compress.export import loading
from jobs.__main__ import main
from jobs.client import Client
from tests.analysis.tiny_transformers import SIZES, tiny

Captured = pytest.CaptureFixture[str]
SETTINGS = {
    "calibration_windows": "8", "calibration_length": "16", "windows": "4", "window": "16",
    "speed": "false", "dtype": "float32",
}  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "llama"
    tiny("llama").save_pretrained(folder)
    return folder


@pytest.fixture
def ids(tmp_path: Path) -> Path:
    """Token ids, for the tiny model has no tokenizer."""
    drawn = np.random.default_rng(0).integers(0, SIZES["vocab_size"], 400)
    np.save(tmp_path / "ids.npy", drawn)
    return tmp_path / "ids.npy"


@pytest.mark.usefixtures("listed")
def test_a_sweep_measures_what_each_size_costs(client: Client, model: Path, ids: Path) -> None:
    name = client.resolve(str(model))
    texts = {"calibrate": str(ids), "evaluate": str(ids)}
    asked = {"methods": "svd, two_sided_svd", "kept": "1.0, 0.7", **SETTINGS, **texts}
    said = client.predict(name, "trial", asked)
    job = client.submit(name, "trial", asked)
    assert client.job(job)["state"] == "DONE", client.store.log_lines(job)
    found = client.store.results(job)
    assert len(found) == 4
    whole, small = found[found["nominal"] == 1.0], found[found["nominal"] == 0.7]
    assert set(whole["delta"]) == {0.0}
    assert set(whole["kept_model"]) == {1.0}
    assert (small["kept_linear"] <= 0.7).all()
    assert (small["bytes"] < small["of_bytes"]).all()
    assert (small["predicted"] != 0).all()
    assert set(found["calibrated_on"].str.split(",").str[0]) == {"ids.npy"}
    # What was predicted of the disk is what there is of tensors, but for the headers of files.
    tensors = sum(file.stat().st_size for file in (client.home / "compress").rglob("*.safetensors"))
    number, unit = said["words"].split("; ")[-1].split()[:2]
    assert unit == "kB"
    assert 0.85 * tensors < 1000 * float(number) < tensors
    record = json.loads(small["record"].iloc[0])
    assert record["model"] == name
    assert set(record["texts"]) == {"calibrate", "evaluate"}


@pytest.mark.usefixtures("listed")
def test_a_trial_is_written_and_loads(
    home: Path, model: Path, ids: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKSCOPE_HOME", str(home))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    out = ids.parent / "small"
    words = f"trial {model} --method svd --keep 0.7 --allocation uniform --out {out} --local"
    texts = ["--calibrate", str(ids), "--evaluate", str(ids)]
    more = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    assert main([*words.split(), *texts, *more]) == 0
    said = capsys.readouterr().out
    assert "calibrated on: ids.npy" in said
    network = loading.load(out)
    logits = network(input_ids=torch.from_numpy(np.load(ids)[None, :16])).logits
    assert logits.shape == (1, 16, SIZES["vocab_size"])
    numbers = sum(p.numel() for p in network.parameters())
    dense = sum(p.numel() for p in tiny("llama").parameters())
    assert 0.6 * dense < numbers < 0.9 * dense


@pytest.mark.usefixtures("listed")
def test_a_planted_nan_fails_the_trial_by_the_layers_name(
    client: Client, ids: Path, tmp_path: Path
) -> None:
    network = tiny("llama")
    with torch.no_grad():
        network.model.layers[1].self_attn.v_proj.weight[0, 0] = float("nan")
    network.save_pretrained(tmp_path / "damaged")
    model = client.resolve(str(tmp_path / "damaged"))
    texts = {"calibrate": str(ids), "evaluate": str(ids)}
    job = client.submit(model, "trial", {"methods": "svd", "gradient": "none", **SETTINGS, **texts})
    assert client.job(job)["state"] == "FAILED"
    found = client.store.results(job)
    assert set(found["status"]) == {"failed"}
    assert found["message"].str.contains("blocks.1.v").any()
    assert client.store.table("result_trial").empty
