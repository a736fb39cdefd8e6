"""Units on a whole model or on a series, from plan to end, in this process."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jobs import contents
from jobs.client import Client
from jobs.errors import JobError
from tests.jobs import made_up, tiny
from tests.jobs.made_up import Launch, Row, never, state
from tests.jobs.waiting import until

pytestmark = pytest.mark.usefixtures("listed")


def test_a_model_is_measured_as_one_unit_with_rows_of_its_layers(
    client: Client, launch: Launch
) -> None:
    job = launch(factor=2.0, layers="blocks.0.*")
    assert state(client, job) == ("DONE", 1, 0, 0, 1)
    found = client.store.results(job)
    assert list(found["name"]) == [
        f"blocks.0.{m}" for m in ("q", "k", "v", "o", "gate", "up", "down")
    ]
    assert list(found["top"]) == [2.0 * (i + 1) for i in range(7)]
    assert set(found["label"]) == {"model"}
    np.testing.assert_array_equal(client.array(found["array"][3]), [0, 1, 2])
    assert client.store.progress(job).empty


def test_an_array_that_is_gone_is_a_sentence(client: Client, launch: Launch) -> None:
    cell = client.store.results(launch())["array"][1]
    for file in (client.home / "artifacts").rglob("*.npy"):
        file.unlink()
    with pytest.raises(JobError, match="run the job again"):
        client.array(cell)


def test_an_analysis_knows_what_was_chosen(client: Client, launch: Launch) -> None:
    seen: list[Any] = []

    def look(opened: Any, inputs: Any, params: Any, report: Any) -> Iterator[Row]:
        seen.append((opened.all_layers, len(opened.layers), opened.device, inputs.model is opened))
        assert report.folder is None
        yield Row(1.0)

    launch(look)
    launch(look, layers="blocks.0.q")
    launch(look, layers="**")
    assert seen == [
        (True, tiny.MATRICES, "cpu", True), (False, 1, "cpu", True),
        (False, tiny.MATRICES, "cpu", True),
    ]  # fmt: skip


def test_running_it_again_reads_nothing_and_computes_nothing(
    client: Client, launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = launch()

    def read(*_: Any) -> str:
        raise AssertionError("a file was read")

    monkeypatch.setattr(hashlib, "file_digest", read)
    again = launch(never)
    assert state(client, again) == ("DONE", 0, 0, 1, 1)
    pd.testing.assert_frame_equal(client.store.results(first), client.store.results(again))


def test_a_copy_is_recognised_by_its_content_and_read_but_once(
    client: Client, launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch()
    copy = tiny.save(tmp_path / "copy")
    assert client.job(launch(never, model=copy))["skipped"] == 1
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert client.job(launch(never, model=copy))["skipped"] == 1


def test_the_key_is_of_contents(client: Client, launch: Launch, tmp_path: Path) -> None:
    def key(**more: Any) -> str:
        return str(client.store.units(launch(**more))["unit"].item())

    text, copy, other = (tmp_path / name for name in ("a.txt", "b.txt", "c.txt"))
    for path, words in ((text, "some"), (copy, "some"), (other, "more")):
        path.write_text(words)
    plain = key()
    assert key(model=tiny.save(tmp_path / "elsewhere" / "tiny")) == plain
    assert key(text=str(text)) == key(text=str(copy))
    config = tiny.save(tmp_path / "configured")
    (config / "config.json").write_text((config / "config.json").read_text() + "\n")
    others = [
        key(text=str(text)), key(text=str(other)), key(factor=3.0), key(layers="embed"),
        key(layers="**"), key(model=tiny.save(tmp_path / "seeded", seed=4)), key(model=config),
    ]  # fmt: skip
    assert len({plain, *others}) == len(others) + 1
    [unit] = [u for u in client._engine.store.table("unit").to_pylist() if u["key"] == plain]
    assert "some" not in unit["params"]


def test_a_file_that_is_read_in_a_job_is_whole_and_there(
    client: Client, launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("words.txt").write_text("some")
    job = launch(text="words.txt")
    assert str(tmp_path / "words.txt") in client.job(job)["params"]
    with pytest.raises(JobError, match=r"parameter 'text': .*none.txt is no file"):
        launch(text="none.txt")


def test_a_page_reads_only_what_lies_under_the_roots(
    client: Client, home: Path, model: Path, tmp_path: Path
) -> None:
    text = tmp_path / "words.txt"
    text.write_text("some")
    made_up.declare(home, "model")
    name = client.add_model(str(model))
    for ask in (client.submit, client.predict):
        with pytest.raises(JobError, match="RANKSCOPE_ROOTS"):
            ask(name, "made_up", {"text": str(text)}, restrict_to_roots=True)
    assert client.store.jobs().empty


def test_a_series_comes_with_its_checkpoints_in_order(
    client: Client, launch: Launch, series: Path
) -> None:
    def follow(series: Any, params: Any, report: Any) -> Iterator[Row]:
        for step in series.steps:
            for matrix in series.matrices(step):
                yield Row(float(step), matrix.label.layer)

    job = launch(follow, "series", series, layers="embed,blocks.1.v")
    assert state(client, job) == ("DONE", 1, 0, 0, 1)
    found = client.store.results(job)
    assert list(found["top"]) == [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]
    assert set(found["name"]) == {"embed", "blocks.1.v"}
    assert set(found["label"]) == {"series"}
    assert client.job(launch(never, "series", series, layers="embed,blocks.1.v"))["skipped"] == 1
    one = client.store.units(job)["unit"].item()
    (series / "step_2" / "model.safetensors").write_bytes(
        (series / "step_1" / "model.safetensors").read_bytes()
    )
    changed = launch(follow, "series", series, layers="embed,blocks.1.v")
    assert client.store.units(changed)["unit"].item() != one


def test_what_is_no_series_is_told_so(client: Client, launch: Launch) -> None:
    job = launch(never, "series")
    assert state(client, job) == ("FAILED", 0, 0, 0, 0)
    assert "is no series: made_up needs a folder of checkpoints" in client.job(job)["message"]


def test_progress_and_rows_are_seen_while_a_series_runs(
    client: Client, launch: Launch, series: Path
) -> None:
    seen: list[Any] = []

    def follow(series: Any, params: Any, report: Any) -> Iterator[Row]:
        store = client.store
        job = store.jobs()["id"][0]
        for done in range(2):
            report(done + 1, 3, f"step {done + 1}")
            yield Row(float(done), "", np.arange(done))
            until(lambda: store.results(job)["top"].notna().sum() == done + 1, 10)  # noqa: B023
            seen.append(store.progress(job).drop(columns="at").to_dict("records"))
            assert set(store.results(job)["status"]) == {"running"}
            client.array(store.results(job)["array"][done])
        yield Row(2.0)

    job = launch(follow, "series", series)
    assert seen == [
        [{"label": "series", "done": done, "total": 3, "words": f"step {done}"}] for done in (1, 2)
    ]
    assert list(client.store.results(job)["top"]) == [0.0, 1.0, 2.0]


def test_rows_of_a_model_are_not_seen_before_its_end(client: Client, launch: Launch) -> None:
    def slow(opened: Any, inputs: Any, params: Any, report: Any) -> Iterator[Row]:
        job = client.store.jobs()["id"][0]
        yield Row(1.0)
        report(1, 2, "half")
        until(lambda: len(client.store.progress(job)) and client.store.progress(job)["done"][0], 10)
        assert client.store.results(job)["top"].isna().all()
        yield Row(2.0)

    assert list(client.store.results(launch(slow))["top"]) == [1.0, 2.0]


def test_a_row_that_does_not_fit_fails_the_unit_and_leaves_none(
    client: Client, launch: Launch, series: Path
) -> None:
    def wrong(series: Any, params: Any, report: Any) -> Iterator[Row]:
        yield Row(1.0)
        until(lambda: client.store.results(client.store.jobs()["id"][0])["top"].notna().any(), 10)
        yield Row("high")  # type: ignore[arg-type]

    job = launch(wrong, "series", series)
    assert state(client, job) == ("FAILED", 0, 1, 0, 1)
    [row] = client.store.results(job).to_dict("records")
    assert pd.isna(row["top"])
    assert "made_up stopped with" in row["message"]
    assert client.store.table("progress").empty


def test_a_models_files_are_its_weights_and_what_reads_them(model: Path, tmp_path: Path) -> None:
    from analysis import weights

    folder = tiny.save(tmp_path / "read")
    for name in ("tokenizer.json", "vocab.txt", "README.md", "optimizer.pt"):
        (folder / name).write_text("{}")
    found = {path.name for path in contents.files(weights.open_model(folder))}
    assert found == {"model.safetensors", "config.json", "tokenizer.json", "vocab.txt"}
