"""What compression keeps in a home: listed with its names, deleted when asked or too much."""

import os
from pathlib import Path

import pytest

from jobs import disk
from jobs.client import Client
from jobs.errors import JobError
from jobs.trials import folders
from tests.jobs.made_up_stages import MadeUp, made
from tests.jobs.test_stages import submit

__all__ = ["made"]


def keep(home: Path, top: str, key: str, size: int, used: float) -> Path:
    folder = home / top / key
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "file").write_bytes(b"x" * size)
    os.utime(folder, (used, used))
    return folder


@pytest.fixture
def full(tmp_path: Path) -> Path:
    for place, (top, size) in enumerate(
        [("compress", 10), ("compress", 20), ("trials", 30), ("compress", 40), ("exports", 50)]
    ):
        keep(tmp_path, top, f"{place}" * 16, size, 1000.0 + place)
    return tmp_path


def test_usage_lists_the_newest_first(full: Path) -> None:
    found = disk.usage(full)
    assert list(found["bytes"]) == [50, 40, 30, 20, 10]
    assert list(found["what"][:3]) == ["export", "working files", "weights of a trial"]
    assert list(found["used"]) == [1004.0, 1003.0, 1002.0, 1001.0, 1000.0]
    assert disk.usage(full / "empty").empty


def test_freeing_deletes_what_is_named_and_nothing_else(full: Path) -> None:
    assert disk.free(full, ["2" * 64, "0" * 16]) == 40
    assert [key[0] for key in disk.usage(full)["key"]] == ["4", "3", "1"]
    with pytest.raises(JobError, match="nothing is kept under"):
        disk.free(full, ["1" * 16, "9" * 16])
    with pytest.raises(JobError, match="is read by a job that runs"):
        disk.free(full, ["1" * 16, "3" * 16], active=["3" * 64])
    assert len(disk.usage(full)) == 3


@pytest.mark.parametrize(
    ("limit", "active", "gone"),
    [
        (70, [], ""),
        (69, [], "0"),
        (41, [], "01"),
        (0, [], "013"),
        (50, ["0" * 64], "1"),
        (49, ["0" * 64], "13"),
        (0, ["0" * 64, "3" * 64], "1"),
    ],
)
def test_trimming_deletes_the_least_recently_used_working_files(
    full: Path, limit: float, active: list[str], gone: str
) -> None:
    assert sorted(key[0] for key in disk.trim(full, active, limit)) == list(gone)
    assert {"2", "4"} <= {key[0] for key in disk.usage(full)["key"]}


def test_the_limit_is_a_number_of_gigabytes() -> None:
    assert disk.cap({}) == 20e9
    assert disk.cap({disk.VARIABLE: "0.5"}) == 5e8
    for given in ("much", "-1", "nan"):
        with pytest.raises(JobError, match="expected a number of GB"):
            disk.cap({disk.VARIABLE: given})


@pytest.mark.usefixtures("listed")
def test_a_client_names_what_is_kept_and_frees_it(
    client: Client, model: Path, made: MadeUp
) -> None:
    job = submit(client, model)
    units = client.store.units(job).set_index("label")["unit"]
    found = client.disk().set_index("key")
    trial = units["whitened_svd, 80 %, greedy, two factor"]
    assert found.loc[trial, "what"] == "weights of a trial"
    assert found.loc[trial, "label"] == "tiny: whitened_svd, 80 %, greedy, two factor"
    assert found.loc[units["dense model"], "label"] == "tiny: dense model"
    assert len(client.store.table("artifact")) == 1
    assert client.free_disk([trial]) == 10
    assert client.store.table("artifact").empty
    assert client.free_disk() == found["bytes"].sum() - 10
    assert client.disk().empty
    assert len(client.store.results(job)) == 1


@pytest.mark.usefixtures("listed")
def test_an_export_is_named_and_goes_with_the_weights_of_its_trial(
    client: Client, model: Path, made: MadeUp
) -> None:
    job = submit(client, model, kept="0.8, 0.6", weights="all")
    units = client.store.units(job).set_index("label")["unit"]
    first, other = (units[f"whitened_svd, {size} %, greedy, two factor"] for size in (80, 60))
    for trial, form in ((first, "factored"), (first, "merged"), (other, "factored")):
        client.export(trial, form)
    found = client.disk().set_index("label")
    name = "tiny: export of whitened_svd, 80 %, greedy, two factor, merged"
    assert found.loc[name, "trial"] == first
    assert set(found.loc[found["trial"] == first, "what"]) == {"export"}
    assert client.free_disk([first[:16]]) == 3 * 10
    gone = client.disk()
    assert first not in set(gone["key"]) | set(gone["trial"])
    assert list(gone.loc[gone["what"] == "export", "trial"]) == [other]
    assert client.exported(first, "merged") is None
    assert client.exported(other, "factored") is not None
    assert len(client.store.table("artifact")) == 2


@pytest.mark.usefixtures("listed")
def test_a_job_ends_by_deleting_what_others_left_beyond_the_limit(
    client: Client, model: Path, made: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = keep(client.home, folders.WORKING, "old", 100, 1000.0)
    made.weight = 1
    submit(client, model)
    assert old.exists()
    monkeypatch.setenv(disk.VARIABLE, "99e-9")
    submit(client, model, kept="0.5")
    assert not old.exists()
    assert set(client.disk()["what"]) == {"working files", "weights of a trial"}
