"""Training runs, and whatever is stopped in the middle: what is kept, and how it goes on."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis.registry import AnalysisError
from jobs import run as running
from jobs.client import Client
from jobs.errors import Interrupted
from jobs.executor import InProcess
from jobs.recall import StoreRecall
from jobs.run import Around
from jobs.tasks import Outcome
from tests.jobs import made_up
from tests.jobs.made_up import Launch, Row, never, state

pytestmark = pytest.mark.usefixtures("listed")


class Training:
    """Stand in for a training run of five steps that keeps a checkpoint every second step."""

    def __init__(self, stop_at: int | None = None, stop: BaseException | None = None) -> None:
        self.stop_at = stop_at
        self.stop = stop or KeyboardInterrupt()
        self.computed: list[int] = []
        self.folder: Path | None = None

    def __call__(self, inputs: Any, params: Any, report: Any) -> Iterator[Row]:
        self.folder = report.folder
        assert inputs.model is None
        kept = {int(path.name[5:]) for path in report.folder.glob("step_*")}
        for step in range(5):
            if step == self.stop_at:
                raise self.stop
            if step > max(kept, default=-1):
                self.computed.append(step)
            if step % 2 == 0:
                place = report.folder / f"step_{step}"
                place.mkdir(exist_ok=True)
                (place / "model.safetensors").write_bytes(b"weights" * (step + 1))
            report(step + 1, 5, f"step {step}")
            yield Row(float(step))


def test_a_training_run_keeps_its_checkpoints_as_artifacts(client: Client, launch: Launch) -> None:
    train = Training()
    job = launch(train, "training", "sample")
    assert state(client, job) == ("DONE", 1, 0, 0, 1)
    assert client.job(job)["model"] == "sample"
    assert set(client.store.results(job)["label"]) == {"training"}
    unit = client.store.units(job)["unit"].item()
    assert train.folder == client.home / "runs" / unit[:16] == client.checkpoints(job)
    listed = client.store.artifacts([unit])
    assert list(listed["path"]) == [
        f"runs/{unit[:16]}/step_{step}/model.safetensors" for step in (0, 2, 4)
    ]
    assert listed["sha256"][1] == hashlib.sha256(b"weights" * 3).hexdigest()
    assert listed["bytes"][1] == 21
    assert client.job(launch(never, "training", "sample"))["skipped"] == 1


def test_no_other_job_has_checkpoints(client: Client, launch: Launch) -> None:
    assert client.checkpoints(launch()) is None


def test_an_interrupted_training_run_keeps_its_rows_and_goes_on(
    client: Client, launch: Launch
) -> None:
    with pytest.raises(Interrupted):
        launch(Training(stop_at=3), "training", "sample")
    [job] = client.store.jobs()["id"]
    assert client.job(job)["state"] == "INTERRUPTED"
    found = client.store.results(job)
    assert list(found["top"]) == [0.0, 1.0, 2.0]
    assert set(found["status"]) == {"waiting"}
    assert "resume goes on from there" in found["message"][0]
    assert client.checkpoints(job) is not None
    train = Training()
    with made_up.analysis(train, "training"):
        client.resume(job)
    assert train.computed == [3, 4]
    found = client.store.results(job)
    assert (list(found["top"]), set(found["status"])) == ([0.0, 1.0, 2.0, 3.0, 4.0], {"done"})
    assert set(found["message"]) == {""}


@pytest.mark.parametrize("unit", ["model", "series"])
def test_an_interrupted_model_or_series_leaves_no_row(
    client: Client, launch: Launch, series: Path, unit: str
) -> None:
    def stops(*_: Any) -> Iterator[Row]:
        yield Row(1.0)
        raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        launch(stops, unit, series)
    [job] = client.store.jobs()["id"]
    assert client.store.results(job)["top"].isna().all()
    assert client.store.table("result_made_up").empty
    assert client.store.table("progress").empty


def test_a_training_run_that_fails_says_how_and_keeps_its_checkpoints(
    client: Client, launch: Launch
) -> None:
    diverged = AnalysisError("the loss is no number at step 3: choose a smaller rate")
    job = launch(Training(stop_at=3, stop=diverged), "training", "sample")
    [row] = client.store.results(job).to_dict("records")
    assert (row["status"], row["message"]) == ("failed", str(diverged))
    assert client.checkpoints(job) is not None


class Cancelled(InProcess):
    """Runs a task until it is interrupted, which counts as cancelled: as a worker of Ray does."""

    def wait(self, handles: Any, timeout: float) -> Any:
        try:
            return super().wait(handles, timeout)
        except KeyboardInterrupt:
            return [(handles[0], Outcome("cancelled"))]


@pytest.mark.parametrize(
    ("unit", "stop_at", "kept", "message"),
    [
        ("training", 3, 3, "3 rows and 2 checkpoints are kept: resume goes on from there"),
        ("training", 0, 0, "stopped before its first checkpoint: resume begins anew"),
        ("series", 3, 0, ""),
        ("model", 3, 0, ""),
    ],
)
def test_a_cancelled_unit_says_what_it_keeps(
    client: Client, series: Path, unit: str, stop_at: int, kept: int, message: str
) -> None:
    job = made_up.waiting(client, unit, series)

    def steps(*given: Any) -> Iterator[Row]:
        if unit == "training":
            yield from Training(stop_at)(*given)
        yield from map(Row, map(float, range(stop_at)))
        raise KeyboardInterrupt

    run_cancelled(client, job, steps, unit)
    assert state(client, job) == ("INTERRUPTED", 0, 0, 0, 1)
    found = client.store.results(job)
    assert list(found["top"].dropna()) == [0.0, 1.0, 2.0][:kept]
    assert set(found["status"]) == {"cancelled"}
    assert set(found["message"]) == {message}
    assert client.store.table("progress").empty
    unit_key = client.store.units(job)["unit"].item()
    assert len(client.store.artifacts([unit_key])) == (2 if kept else 0)


def run_cancelled(client: Client, job: str, function: Any, unit: str) -> None:
    store = client._engine.store
    with made_up.analysis(function, unit):
        running.Run(job, client.home, store, Cancelled(StoreRecall(store)), Around())()


def test_only_a_model_is_run_on_a_gpu(client: Client, home: Path) -> None:
    made_up.declare(home, "training")
    job = client.submit("sample", "made_up", {}, device="cuda")
    assert "made_up runs on the CPU: leave --device out" in client.job(job)["message"]
