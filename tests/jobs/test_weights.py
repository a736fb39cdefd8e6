"""The weights that trials leave: which stay, and the files that are made of them."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from jobs.client import Client
from jobs.errors import JobError
from jobs.trials import keeping
from tests.jobs.made_up_stages import MadeUp, made
from tests.jobs.test_stages import submit, unit

__all__ = ["made"]

pytestmark = pytest.mark.usefixtures("listed")


def test_weights_of_beaten_trials_are_deleted(client: Client, model: Path, made: MadeUp) -> None:
    names = [f"whitened_svd, {size} %, greedy, two factor" for size in (90, 80, 70, 60)]
    made.results = dict(zip(names, [(90, 0.1), (80, 0.2), (80, 0.3), (60, 0.9)], strict=True))
    job = submit(client, model, kept="0.9, 0.8, 0.7, 0.6", weights="best")
    kept = {name: client.weights(unit(client, job, name)) is not None for name in names}
    assert list(kept.values()) == [True, True, False, True]
    files = client.store.table("artifact")
    assert len(files) == 3
    assert set(files["bytes"]) == {10}
    assert all((client.home / path).is_file() for path in files["path"])


def test_weights_that_another_job_keeps_are_spared_and_those_asked_for_are_made_again(
    client: Client, model: Path, made: MadeUp
) -> None:
    names = [f"whitened_svd, {size} %, greedy, two factor" for size in (90, 80)]
    made.results = dict.fromkeys(names, (80, 0.2)) | {names[1]: (90, 0.2)}
    best = submit(client, model, kept="0.9, 0.8", weights="best")
    assert client.weights(unit(client, best, names[1])) is None
    made.ran.clear()
    every = submit(client, model, kept="0.9, 0.8", weights="all")
    assert made.labels() == [names[1]]
    assert client.weights(unit(client, every, names[1])) is not None
    submit(client, model, kept="0.9, 0.8", weights="best")
    assert client.weights(unit(client, every, names[1])) is not None


def test_beaten_is_worse_in_one_and_no_better_in_the_other() -> None:
    def trial(key: str, size: int, delta: float, kept: bool = False) -> dict[str, Any]:
        return {"key": key, "bytes": size, "delta": delta, "kept": kept}

    equal = [trial("a", 5, 0.1), trial("b", 5, 0.1)]
    assert keeping.beaten(equal) == []
    worse = [trial("a", 5, 0.1), trial("b", 5, 0.2), trial("c", 6, 0.1), trial("d", 4, 0.3)]
    assert keeping.beaten(worse) == ["b", "c"]
    assert keeping.beaten([trial("a", 5, 0.1), trial("b", 6, 0.2, kept=True)]) == []


def test_an_export_makes_what_it_lacks_and_keeps_a_file(
    client: Client, model: Path, made: MadeUp
) -> None:
    name = "whitened_svd, 80 %, greedy, two factor"
    trial = unit(client, submit(client, model, methods="whitened_svd, svd", weights="none"), name)
    made.ran.clear()
    assert client.exported(trial, "factored") is None
    job = client.export(trial)
    assert made.kinds() == {"trial": 1, "export": 1}
    exported = client.exported(trial, "factored")
    assert exported is not None
    assert exported.suffix == ".zip"
    assert list(client.store.results(job)["label"]) == [f"export of {name}, factored"]
    made.ran.clear()
    client.export(trial)
    assert made.ran == []
    client.export(trial, "merged")
    assert made.kinds() == {"export": 1}
    shutil.rmtree(exported.parent)
    assert client.exported(trial, "factored") is None
    client.export(trial)
    assert client.exported(trial, "factored") == exported


def test_a_trial_whose_text_has_changed_is_not_exported(
    client: Client, model: Path, made: MadeUp, tmp_path: Path
) -> None:
    text = tmp_path / "words.txt"
    text.write_text("some")
    name = "whitened_svd, 80 %, greedy, two factor"
    trial = unit(client, submit(client, model, calibrate=str(text)), name)
    text.write_text("other words")
    row = client.job(client.export(trial))
    assert row["state"] == "FAILED"
    assert "has changed since: run the trial again" in row["message"]
    with pytest.raises(JobError, match="no trial has the key"):
        client.export("none")
