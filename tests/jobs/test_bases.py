"""Models registered against a base: adapters and pairs, whose matrices are what was changed."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from analysis import sample, weights
from jobs import contents
from jobs.client import Client
from jobs.errors import JobError
from jobs.tasks import Whole
from tests.jobs import tiny


@pytest.fixture
def tuned(tmp_path: Path) -> Path:
    """The tiny model with one weight changed by a matrix of rank one."""
    name = "model.layers.0.self_attn.q_proj.weight"
    changed = tiny.tensors()[name] + torch.outer(torch.ones(24), torch.arange(24.0)).half()
    return tiny.save(tmp_path / "tuned", **{name.replace(".", "__"): changed})


def test_a_pair_is_a_model_of_its_own_whose_matrices_are_the_difference(
    client: Client, model: Path, tuned: Path
) -> None:
    base = client.add_model(str(model), "first")
    pair = client.add_model(str(tuned), base=base)
    plain = client.add_model(str(tuned))
    assert (pair, plain) == ("tuned-minus-tiny", "tuned")
    assert client.add_model(str(tuned), base=str(model)) == pair
    assert client.resolve(str(tuned)) == plain
    row = client.store.model(pair).iloc[0]
    assert (row["path"], row["base"]) == (str(tuned), str(model))
    job = client.submit(pair, "spectrum", {}, "blocks.0.*")
    found = client.store.results(job).set_index("label")
    assert found.loc["blocks.0.q", "stable_rank"] == pytest.approx(1.0, abs=1e-2)
    assert set(found["status"].drop("blocks.0.q")) <= {"zero", "skipped"}


def test_a_second_run_of_a_pair_computes_nothing(client: Client, model: Path, tuned: Path) -> None:
    name = client.add_model(str(tuned), base=str(model))
    first = client.submit(name, "spectrum", {})
    again = client.submit(name, "spectrum", {})
    assert client.job(again)["done"] == 0
    assert client.job(again)["skipped"] == client.job(first)["total"]
    assert client.store.table("fingerprint").empty  # there is no one file to remember a hash of


def test_an_adapter_finds_its_base_and_is_analysed(client: Client) -> None:
    name = client.add_model(str(sample.ADAPTER), "adapter")
    assert client.store.model(name)["base"].item() == str(sample.MODEL)
    job = client.submit(name, "spectrum", {}, "blocks.0.q")
    held = load_file(sample.ADAPTER / "adapter_model.safetensors")
    rank = min(held[next(iter(held))].shape)
    assert client.store.results(job)["stable_rank"].item() <= rank
    [ref] = [
        r for r in weights.open_model(sample.ADAPTER).matrices() if r.label.layer == "blocks.0.q"
    ]
    assert len(weights.files_of(ref)) >= 1


def test_a_name_that_is_taken_by_another_base_is_refused(
    client: Client, model: Path, tuned: Path
) -> None:
    client.add_model(str(tuned), "it")
    with pytest.raises(JobError, match=f"give {tuned} against {model} another name"):
        client.add_model(str(tuned), "it", base=str(model))


def test_a_page_opens_no_base_outside_of_the_roots(
    client: Client, model: Path, tuned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKSCOPE_ROOTS", str(tuned))
    restricted = Client(client.home, client._engine)
    with monkeypatch.context() as patch:
        patch.setattr(client._engine, "describe", None)
        with pytest.raises(JobError, match=r"lies outside the folders"):
            restricted.add_model(str(tuned), base=str(model), restrict_to_roots=True)
    assert restricted.add_model(str(tuned), restrict_to_roots=True) == "tuned"
    monkeypatch.setenv("RANKSCOPE_ROOTS", f"{tuned}{os.pathsep}{model}")
    allowed = Client(client.home, client._engine)
    assert allowed.inspect(str(tuned), base=str(model))["header"]["base"] == str(model)


def test_a_base_that_a_configuration_names_must_lie_under_the_roots_too(
    client: Client, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "adapter"
    folder.mkdir()
    for file in sample.ADAPTER.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("config.json", "model.safetensors"):
        (elsewhere / name).symlink_to(sample.MODEL / name)
    config = folder / "adapter_config.json"
    said = json.loads(config.read_text())
    monkeypatch.setenv("RANKSCOPE_ROOTS", str(folder))
    with monkeypatch.context() as patch:
        patch.setattr("jobs.models._bundled", lambda: folder)
        patch.setattr(client._engine, "describe", None)  # before a byte of it is read
        for named in (elsewhere, "../elsewhere"):
            config.write_text(json.dumps({**said, "base_model_name_or_path": str(named)}))
            for path in (folder, folder / "adapter_model.safetensors"):
                with pytest.raises(JobError, match="elsewhere lies outside the folders"):
                    Client(client.home, client._engine).inspect(str(path))
    config.write_text(json.dumps({**said, "base_model_name_or_path": str(elsewhere)}))
    monkeypatch.setenv("RANKSCOPE_ROOTS", os.pathsep.join([str(folder), str(tmp_path / "later")]))
    with monkeypatch.context() as patch:
        # Where the name was not understood beforehand, what was opened is looked at all the same.
        patch.setattr("jobs.models._bundled", lambda: folder)
        patch.setattr("jobs.bases.named", lambda path: None)
        with pytest.raises(JobError, match="lies outside the folders"):
            Client(client.home, client._engine).inspect(str(folder))


def test_the_sample_may_be_named_as_a_base(client: Client) -> None:
    found = client.inspect(str(sample.ADAPTER), base="sample")
    assert found["header"]["base"] == str(sample.MODEL)


def test_a_path_of_this_folder_is_whole_for_other_processes(
    client: Client, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model.parent)
    seen = []
    describe = client._engine.describe
    monkeypatch.setattr(
        client._engine, "describe", lambda *given: (seen.append(given), describe(*given))[1]
    )
    client.add_model(model.name)
    assert seen == [(str(model), False, None)]


def test_what_an_adapter_is_run_on_is_part_of_its_key(tmp_path: Path) -> None:
    files = contents.files(weights.open_model(sample.ADAPTER))
    assert {sample.MODEL / "model.safetensors", sample.MODEL / "config.json"} <= set(files)
    assert {sample.ADAPTER / "adapter_config.json"} <= set(files)


def test_a_pair_turned_round_has_another_key(model: Path, tuned: Path) -> None:
    def content(path: Path, base: Path) -> list[object]:
        source = weights.open_model(path, base=base)
        return contents.contents(Whole("model"), source, lambda file: file.parent.name)

    assert content(tuned, model) != content(model, tuned)
