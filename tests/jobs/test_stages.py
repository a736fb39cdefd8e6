"""Jobs whose units build on each other's files: order, failures, stops, and what is reused."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from jobs.client import Client
from jobs.errors import Interrupted, JobError
from jobs.trials import folders
from tests.jobs import tiny
from tests.jobs.made_up import state
from tests.jobs.made_up_stages import MadeUp, made

__all__ = ["made"]

pytestmark = pytest.mark.usefixtures("listed")

SVD = {"methods": "svd", "kept": "0.8", "gradient": "none"}  # no calibration
WHITENED = {"methods": "whitened_svd", "kept": "0.8"}
GROUPS = tiny.BLOCKS  # the embedding is no linear layer


def submit(client: Client, model: Path, **params: Any) -> str:
    return client.submit(client.resolve(str(model)), "trial", {**WHITENED, **params})


def states(client: Client, job: str) -> dict[str, str]:
    units = client.store.units(job)
    return dict(zip(units["label"], units["state"], strict=True))


def unit(client: Client, job: str, label: str) -> str:
    units = client.store.units(job).set_index("label")["unit"]
    return str(units[label])


def test_each_stage_runs_once_after_those_that_it_needs(
    client: Client, model: Path, made: MadeUp
) -> None:
    job = submit(client, model, recovery_steps=2, allocations="sensitivity", weights="none")
    assert client.job(job)["state"] == "DONE"
    assert made.kinds() == {
        "evaluation": 1, "calibrate": 1, "control": 1, "factors": GROUPS, "sensitivity": GROUPS,
        "trial": 1,
    }  # fmt: skip
    order = [kind for kind, _ in made.ran]
    first = {kind: order.index(kind) for kind in order}
    last = {kind: place for place, kind in enumerate(order)}
    assert last["calibrate"] < first["factors"]
    assert last["factors"] < first["trial"]
    assert last["sensitivity"] < first["trial"]
    assert client.store.units(job)["label"].is_unique
    assert "calibration of blocks 0 to 1" in made.labels()
    assert "factors of whitened_svd, block 1" in made.labels()


def test_only_trials_are_listed_among_the_results(
    client: Client, model: Path, made: MadeUp
) -> None:
    job = submit(client, model, kept="0.8, 0.6")
    found = client.store.results(job)
    assert list(found["label"]) == [
        f"whitened_svd, {size} %, greedy, two factor" for size in (80, 60)
    ]
    assert set(found["status"]) == {"done"}
    names = [table for table in client.store.tables() if table.startswith("result_")]
    assert {"result_calibrate", "result_factors", "result_evaluation"} <= set(names)


def test_a_sweep_over_five_sizes_factors_as_often_as_one_size(
    client: Client, model: Path, made: MadeUp
) -> None:
    submit(client, model, kept="0.8", weights="none")
    assert made.kinds()["factors"] == GROUPS
    made.ran.clear()
    job = submit(client, model, kept="0.9, 0.8, 0.7, 0.6, 0.5", weights="none")
    assert made.kinds() == {"trial": 4}
    assert state(client, job) == ("DONE", 4, 0, 1 + 1 + GROUPS + 1, 7 + GROUPS)
    made.ran.clear()
    again = submit(client, model, kept="0.9, 0.8, 0.7, 0.6, 0.5", weights="none")
    assert made.ran == []
    assert client.job(again)["done"] == 0


def test_another_method_shares_the_calibration_and_the_dense_model(
    client: Client, model: Path, made: MadeUp
) -> None:
    submit(client, model)
    made.ran.clear()
    submit(client, model, methods="asvd")
    assert made.kinds() == {"factors": GROUPS, "trial": 1}


@pytest.mark.parametrize(
    ("changed", "runs"),
    [
        ({"windows": 3}, {"evaluation", "trial"}),
        ({"calibration_windows": 3}, {"calibrate", "factors", "trial"}),
        ({"seed": 3}, {"evaluation", "calibrate", "factors", "trial"}),
        ({"compensation": "eora", "compensation_rank": 1}, {"trial"}),
        ({"recovery_steps": 4}, {"control", "trial"}),
        ({"recovery_lr": 0.5}, set()),  # of no training
        ({"weights": "none"}, set()),
        ({"dtype": "float32"}, {"trial"}),
    ],
)
def test_a_setting_runs_what_depends_on_it_and_nothing_else(
    client: Client, model: Path, made: MadeUp, changed: dict[str, Any], runs: set[str]
) -> None:
    submit(client, model)
    made.ran.clear()
    submit(client, model, **changed)
    assert set(made.kinds()) == runs


def test_the_content_of_texts_and_of_the_model_is_what_counts(
    client: Client, model: Path, made: MadeUp, tmp_path: Path
) -> None:
    for name, words in {"a": "some", "b": "some", "c": "more"}.items():
        (tmp_path / f"{name}.txt").write_text(words)
    submit(client, model, calibrate=str(tmp_path / "a.txt"))
    made.ran.clear()
    submit(client, model, calibrate=str(tmp_path / "b.txt"))
    submit(client, tiny.save(tmp_path / "copy"), calibrate=str(tmp_path / "a.txt"))
    assert made.ran == []
    submit(client, model, calibrate=str(tmp_path / "c.txt"))
    assert set(made.kinds()) == {"calibrate", "factors", "trial"}
    submit(client, model, calibrate="hf:words")  # a name on the hub is no path
    with pytest.raises(JobError, match="is no file"):
        submit(client, model, calibrate="words.txt")


def test_what_a_failure_was_needed_for_fails_by_its_name_and_the_rest_goes_on(
    client: Client, model: Path, made: MadeUp
) -> None:
    made.fails = {"factors of whitened_svd, block 1"}
    job = submit(client, model, methods="whitened_svd, svd", kept="0.8", weights="none")
    found = client.store.units(job).set_index("label")
    assert found.loc["factors of whitened_svd, block 1", "state"] == "failed"
    lost = found.loc["whitened_svd, 80 %, greedy, two factor"]
    assert lost["state"] == "failed"
    assert lost["message"] == (
        "needs factors of whitened_svd, block 1, which failed: "
        "factors of whitened_svd, block 1: its weight holds NaN or infinity"
    )
    assert pd.isna(lost["unit"])
    assert found.loc["svd, 80 %, greedy, two factor", "state"] == "done"
    assert state(client, job)[:3] == ("FAILED", 5 + GROUPS - 1, 2)
    listed = client.store.results(job).set_index("label")["status"].to_dict()
    assert listed == {
        "factors of whitened_svd, block 1": "failed",
        "whitened_svd, 80 %, greedy, two factor": "failed",
        "svd, 80 %, greedy, two factor": "done",
    }
    assert client.store.table("result_factors").groupby("unit").size().sum() == 2 * GROUPS - 1
    made.fails, made.ran[:] = set(), []
    client.resume(job)
    assert client.job(job)["state"] == "DONE"
    assert made.kinds() == {"factors": 1, "trial": 1}


def test_a_failed_calibration_fails_all_that_comes_of_it(
    client: Client, model: Path, made: MadeUp
) -> None:
    made.fails = {"calibration of blocks 0 to 1"}
    job = submit(client, model)
    assert set(made.kinds()) == {"evaluation", "calibrate"}
    found = client.store.units(job).set_index("label")["message"]
    assert "needs calibration of" in found["factors of whitened_svd, block 0"]
    assert "needs calibration of" in found["whitened_svd, 80 %, greedy, two factor"]
    # The end of a sweep weighs what there is, whatever failed.
    assert states(client, job)["keep the best weights"] == "done"


def test_an_interrupted_job_resumes_where_it_stopped(
    client: Client, model: Path, made: MadeUp
) -> None:
    made.interrupts = {"factors of whitened_svd, block 1"}
    with pytest.raises(Interrupted):
        submit(client, model, weights="none")
    job = client.store.jobs()["id"][0]
    assert client.job(job)["state"] == "INTERRUPTED"
    made.ran.clear()
    client.resume(job)
    assert client.job(job)["state"] == "DONE"
    assert made.kinds() == {"factors": 1, "trial": 1}


def test_deleted_files_are_made_again_only_where_something_reads_them(
    client: Client, model: Path, made: MadeUp
) -> None:
    submit(client, model, weights="none")
    made.ran.clear()
    shutil.rmtree(client.home / folders.WORKING)
    submit(client, model, weights="none")
    assert made.ran == []
    job = submit(client, model, kept="0.5", weights="none")
    assert made.kinds() == {"evaluation": 1, "calibrate": 1, "factors": GROUPS, "trial": 1}
    assert client.job(job)["state"] == "DONE"
    assert len(client.store.table("result_factors")) == GROUPS  # rows are there once
