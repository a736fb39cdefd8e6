"""What a compression job takes, said before it starts; and what no trial can be made of."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from jobs import memory
from jobs.client import Client
from jobs.errors import JobError
from jobs.trials import fits, settings
from tests.jobs import tiny
from tests.jobs.made_up_stages import MadeUp, made

__all__ = ["made"]

pytestmark = pytest.mark.usefixtures("listed", "made")


def predict(client: Client, model: Any, analysis: str = "trial", **params: Any) -> dict[str, Any]:
    layers = params.pop("layers", "*")
    return client.predict(client.resolve(str(model)), analysis, params, layers)


def encoder(folder: Path) -> Path:
    tiny.save(folder)
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["LlamaModel"]
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_prediction_counts_blocks_windows_methods_sizes_and_files(
    client: Client, model: Path
) -> None:
    found = predict(client, model, methods="svd, whitened_svd", kept="0.9, 0.8, 0.6")
    assert found["refused"] == ""
    words = "2 blocks calibrated on 64 windows of 256 tokens; 2 methods x 3 sizes; "
    assert found["words"].startswith(words)
    assert found["words"].endswith("B of working files")
    alone = predict(client, model, methods="svd", gradient="none")["words"].split("; ")[-1]
    # (m + n) min(m, n) float32 numbers of each matrix: four square, three of twice the height.
    h, blocks = tiny.HIDDEN, tiny.BLOCKS
    assert alone == f"{4 * blocks * (4 * 2 * h * h + 3 * 3 * h * h) / 1000:.0f} kB of working files"
    assert found["bytes"] > 0
    assert client.store.jobs().empty


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"gradient": "none", "methods": "svd"}, "no calibration; 1 method x 1 size; "),
        ({"methods": "rtn:bits=4, svd", "kept": "0.5, 0.4"}, "; 2 methods x 2 sizes, 3 trials; "),
        ({"methods": "svd", "allocations": "greedy, uniform"}, "1 method x 1 size x 2 allocations"),
        ({"methods": "svd", "layers": "blocks.0.q"}, "1 block calibrated on"),
        (
            {"methods": "svd", "ranks": '{"blocks.0.q": 2}'},
            "; ranks by hand take no share to keep: ",
        ),
        ({"calibration_windows": 5, "calibration_length": 32}, "on 5 windows of 32 tokens"),
    ],
)
def test_a_prediction_says_what_is_asked_for(
    client: Client, model: Path, params: dict[str, Any], words: str
) -> None:
    assert words in predict(client, model, **params)["words"]


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"methods": "nothing"}, "no compression method is called 'nothing'"),
        ({"methods": "lora_shrink"}, "lora_shrink makes an adapter of what training added to a"),
        ({"methods": "svd:rank=3"}, "svd has no setting 'rank'"),
        ({"kept": "1.5"}, "kept '1.5': expected shares of the parameters above 0 and up to 1"),
        ({"allocations": "best"}, "'best' is not an allocation"),
        ({"ranks": "[1]"}, "ranks: expected JSON of layers and ranks"),
        ({"methods": "two_sided_svd", "gradient": "none"}, "two_sided_svd needs gradients"),
        ({"layers": "embed"}, "tiny has no linear layer among those chosen"),
    ],
)
def test_settings_that_mean_nothing_are_refused_in_a_sentence(
    client: Client, model: Path, params: dict[str, Any], sentence: str
) -> None:
    assert sentence in predict(client, model, **params)["refused"]
    layers = params.pop("layers", "*")
    job = client.submit(client.resolve(str(model)), "trial", params, layers)
    row = client.job(job)
    assert (row["state"], row["failed"]) == ("FAILED", 0)
    assert sentence in row["message"]


def test_sizes_that_no_trial_is_of_are_said_before_the_launch(
    client: Client, model: Path, made: MadeUp
) -> None:
    refused = predict(client, model, methods="mpo", kept="0.01")["refused"]
    sentence = "1 % of the linear layers' parameters is not reached: the smallest size of the"
    assert refused.startswith(sentence)
    job = client.submit(client.resolve(str(model)), "trial", {"methods": "mpo", "kept": "0.01"})
    assert (client.job(job)["state"], client.job(job)["message"]) == ("FAILED", refused)
    assert client.store.units(job).empty
    # One of several sizes stops no other.
    found = predict(client, model, methods="mpo, svd", kept="0.9, 0.01")
    assert found["refused"] == ""
    assert f"; mpo, 1 % will fail: {sentence}" in found["words"]
    assert "svd" not in found["words"]
    reserved = {"methods": "svd", "compensation": "svd", "compensation_rank": 99, "kept": "0.5"}
    assert (
        "what stays dense, with any compensation, leaves at least"
        in (predict(client, model, **reserved)["refused"])
    )
    assert (
        "TensorLLM, needs healing fits none of the chosen layers"
        in (predict(client, model, methods="tucker", layers="blocks.*.q")["refused"])
    )
    assert made.ran == []


def test_what_no_trial_is_made_of_says_why(client: Client, model: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.safetensors"
    save_file({"a.weight": torch.ones(8, 4), "b.weight": torch.ones(4, 8)}, plain)
    assert "without a config.json" in predict(client, plain)["refused"]
    for number in (1, 2):
        tiny.save(tmp_path / "run" / f"step_{number}", seed=number)
    assert "is a series of checkpoints" in predict(client, tmp_path / "run")["refused"]
    tuned = tiny.save(tmp_path / "tuned", seed=3)
    pair = client.add_model(str(tuned), "pair", base=str(model))
    svd = predict(client, pair, methods="svd")["refused"]
    assert "holds what changes another model, and svd compresses the layers of a whole" in svd
    assert svd.endswith("open the model with its updates merged in, or use lora_extract")
    assert "use lora_extract" in predict(client, pair, methods="lora_shrink")["refused"]
    assert "activations are of the layers of a" in predict(client, pair, "activations")["refused"]
    bare = encoder(tmp_path / "encoder")
    needs = predict(client, bare, methods="fwsvd")["refused"]
    assert "fwsvd needs the gradient of a loss" in needs
    assert predict(client, bare, methods="svd")["words"].startswith("no calibration; 1 method")
    assert predict(client, bare, "activations")["words"].count("factors of whitened_svd;") == 1


def test_what_does_not_fit_is_refused(
    client: Client, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free", lambda device="cpu": 900)
    assert "trial of tiny needs about" in predict(client, model)["refused"]
    monkeypatch.undo()
    monkeypatch.setattr(fits, "check_texts", lambda *_, **__: None)
    small = shutil._ntuple_diskusage(10, 9, 1)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: small)
    refused = predict(client, model)["refused"]
    assert "of working files and 1 B are free on the disk of" in refused


def test_texts_are_looked_at_before_the_launch(
    client: Client, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    # The model has no tokenizer, which reading words takes.
    assert "has no tokenizer beside its weights" in predict(client, model)["refused"]


def test_activations_share_the_calibration_of_trials(
    client: Client, model: Path, made: MadeUp
) -> None:
    name = client.resolve(str(model))
    client.submit(name, "trial", {"methods": "whitened_svd"})
    made.ran.clear()
    job = client.submit(name, "activations", {})
    assert client.job(job)["state"] == "DONE"
    assert made.kinds() == {"factors": tiny.BLOCKS, "activations": 1}
    assert {label.split(",")[0] for label in made.labels()} == {
        "factors of two_sided_svd", "activations",
    }  # fmt: skip
    assert list(client.store.results(job)["label"]) == ["activations"]


def test_trials_of_an_update_need_its_loss_and_that_of_its_base_and_share_both(
    client: Client, model: Path, tmp_path: Path, made: MadeUp
) -> None:
    tuned = tiny.save(tmp_path / "tuned", seed=3)
    pair = client.add_model(str(tuned), "pair", base=str(model))
    asked = {"methods": "lora_extract, lora_extract:rank=2", "kept": "0.2, 0.1"}
    assert predict(client, pair, **asked)["words"] == (
        "no calibration; 2 methods x 2 sizes, 3 trials; lora_extract:rank=2 takes no share to "
        "keep: rank sets its size; 0 B of working files"
    )
    for more, words in (
        ({"layers": "blocks.0.q"}, "choose all of them"),
        ({"compensation": "eora"}, "with no compensation"),
        ({"recovery_steps": "3"}, "with no recovery"),
    ):
        assert words in predict(client, pair, **asked, **more)["refused"]
    job = client.submit(pair, "trial", asked)
    assert client.job(job)["state"] == "DONE"
    assert made.kinds() == {"evaluation": 2, "trial": 3}
    assert set(made.labels()) > {"whole update", "base alone"}
    assert list(client.store.results(job)["label"])[-3:] == [
        "lora_extract, 20 %", "lora_extract, 10 %", "lora_extract:rank=2",
    ]  # fmt: skip
    made.ran.clear()
    client.submit(pair, "trial", {"methods": "lora_extract", "kept": "0.1, 0.05"})
    assert made.labels() == ["lora_extract, 5 %"]


def test_every_parameter_of_a_trial_is_accounted_for(client: Client) -> None:
    """A new one must reach a key, or be known not to change a number."""
    declared = {one["name"] for one in client.catalog()["analyses"]["trial"]["params"]}
    keyed = {*settings.CALIBRATION, *settings.EVALUATION, *settings.RECOVERY, *settings.TRIAL}
    in_spec = {"methods", "kept", "allocations", "forms", "ranks", "objective"}
    in_spec |= {"compensation", "compensation_rank"}
    assert declared == keyed | in_spec | {"recovery_layers", "weights"}


def test_a_page_reads_no_text_outside_of_the_roots(client: Client, model: Path) -> None:
    name = client.resolve(str(model))
    with pytest.raises(JobError, match="RANKSCOPE_ROOTS"):
        client.submit(name, "trial", {"evaluate": "/etc/hostname"}, restrict_to_roots=True)
