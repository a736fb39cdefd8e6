"""A job from plan to end, in this process, on a real store and a real file."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from analysis import weights
from jobs import requests
from jobs import run as running
from jobs.catalog import Catalog
from jobs.client import Client
from jobs.engine import Local
from jobs.executor import Claims, InProcess
from jobs.recall import StoreRecall
from jobs.run import Around
from store import Store, StoreUnwritable
from tests.jobs import tiny

Q = "model__layers__0__self_attn__q_proj__weight"
SQUARE = (tiny.HIDDEN, tiny.HIDDEN)


def rows(client: Client, job: str) -> pd.DataFrame:
    frame: pd.DataFrame = client.store.results(job)
    return frame[frame["status"] != "skipped"].reset_index(drop=True)


def attempts(client: Client, job: str) -> int:
    units = client.store.units(job)
    keys = [key for key in units["unit"] if isinstance(key, str)]
    return int(client.store.attempts(keys)["count"].sum())


def test_a_job_ends_with_a_row_for_each_layer_and_lists_what_it_skips(
    client: Client, model: Path
) -> None:
    name = client.add_model(str(model))
    job = client.submit(name, "spectrum", {})
    row = client.job(job)
    assert (row["state"], row["done"], row["total"]) == ("DONE", tiny.MATRICES, tiny.MATRICES)
    found = client.store.results(job)
    assert (found["status"] == "done").sum() == tiny.MATRICES
    skipped = found[found["status"] == "skipped"]
    assert len(skipped) == tiny.NORMS
    assert set(skipped["message"]) == {"one-dimensional (a norm or a bias)"}
    assert found["effective_rank_sigma"].notna().sum() == tiny.MATRICES


def test_running_it_again_reads_nothing_and_computes_nothing(
    client: Client, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = client.add_model(str(model))
    first = client.submit(name, "spectrum", {})

    def reading(*_: Any) -> Any:
        raise AssertionError("a weight was read")

    monkeypatch.setattr(weights, "load", reading, raising=False)
    monkeypatch.setattr(weights, "fingerprint", reading, raising=False)
    again = client.submit(name, "spectrum", {})
    row = client.job(again)
    assert (row["state"], row["done"], row["skipped"]) == ("DONE", 0, tiny.MATRICES)
    pd.testing.assert_frame_equal(rows(client, first), rows(client, again))
    assert attempts(client, again) == tiny.MATRICES


def test_a_copy_of_the_model_shares_the_results(
    client: Client, model: Path, tmp_path: Path
) -> None:
    job = client.submit(client.add_model(str(model)), "spectrum", {})
    copy = client.submit(client.add_model(str(tiny.save(tmp_path / "copy"))), "spectrum", {})
    assert client.job(copy)["skipped"] == tiny.MATRICES
    assert attempts(client, copy) == tiny.MATRICES
    pd.testing.assert_frame_equal(rows(client, job), rows(client, copy))


def test_views_are_selected_without_a_second_result_for_those_stored(
    client: Client, model: Path
) -> None:
    name = client.add_model(str(model))
    client.submit(name, "spectrum", {})
    job = client.submit(name, "spectrum", {"heads": "true"}, layers="blocks.0.q*")
    row = client.job(job)
    assert (row["done"], row["skipped"], row["total"]) == (4, 1, 5)
    assert "blocks.0.q[head 3]" in set(rows(client, job)["label"])


def test_a_nan_fails_its_layer_and_keeps_the_others(client: Client, tmp_path: Path) -> None:
    damaged = torch.randn(SQUARE).half()
    damaged[0, 0] = float("inf")
    name = client.add_model(str(tiny.save(tmp_path / "damaged", **{Q: damaged})))
    job = client.submit(name, "spectrum", {})
    row = client.job(job)
    assert (row["state"], row["failed"], row["done"]) == ("FAILED", 1, tiny.MATRICES - 1)
    found = rows(client, job).set_index("label")
    assert found["status"].value_counts().to_dict() == {"done": tiny.MATRICES - 1, "failed": 1}
    assert "infinity" in found.loc["blocks.0.q", "message"]
    assert any("blocks.0.q" in text for text in client.store.log_lines(job)["text"])


def test_an_all_zero_layer_is_no_failure(client: Client, tmp_path: Path) -> None:
    name = client.add_model(str(tiny.save(tmp_path / "zeros", **{Q: torch.zeros(SQUARE).half()})))
    job = client.submit(name, "spectrum", {})
    assert client.job(job)["state"] == "DONE"
    found = rows(client, job).set_index("label")
    assert found.loc["blocks.0.q", "status"] == "zero"
    again = client.submit(name, "spectrum", {})
    assert client.job(again)["skipped"] == tiny.MATRICES
    assert rows(client, again).set_index("label").loc["blocks.0.q", "status"] == "zero"


def test_equal_tensors_share_one_spectrum_under_two_labels(client: Client, tmp_path: Path) -> None:
    same = torch.randn(SQUARE, generator=torch.Generator().manual_seed(5)).half()
    other = Q.replace("layers__0", "layers__1")
    folder = tiny.save(tmp_path / "tied", **{Q: same, other: same.clone()})
    name = client.add_model(str(folder))
    job = client.submit(name, "spectrum", {})
    units = client.store.units(job).set_index("label")["unit"]
    assert units["blocks.0.q"] == units["blocks.1.q"]
    assert attempts(client, job) == tiny.MATRICES - 1


def test_a_job_on_spectra_takes_the_missing_ones_first(client: Client, model: Path) -> None:
    name = client.add_model(str(model))
    client.submit(name, "spectrum", {}, layers="blocks.0.*")
    job = client.submit(name, "welore", {"target_reduction": "0.3"})
    row = client.job(job)
    assert (row["state"], row["skipped"], row["done"]) == ("DONE", 7, tiny.MATRICES - 7 + 1)
    found = rows(client, job)
    assert set(found["label"]) == {"all layers"}
    assert list(found["layer"]) == list(client.store.labels(name)["layer"])


def test_a_failed_spectrum_is_left_out_of_what_follows(client: Client, tmp_path: Path) -> None:
    damaged = torch.full(SQUARE, float("nan")).half()
    name = client.add_model(str(tiny.save(tmp_path / "damaged", **{Q: damaged})))
    job = client.submit(name, "welore", {})
    assert client.job(job)["failed"] == 1
    found = rows(client, job)
    assert "blocks.0.q" not in set(found["layer"].dropna())
    assert "blocks.1.q" in set(found["layer"])


def test_a_spectrum_under_other_parameters_counts_as_stored(client: Client, model: Path) -> None:
    name = client.add_model(str(model))
    client.submit(name, "spectrum", {"seed": "3"})
    job = client.submit(name, "welore", {})
    assert (client.job(job)["skipped"], client.job(job)["done"]) == (tiny.MATRICES, 1)


def new_job(client: Client, model: Path) -> str:
    """Register a job and leave it waiting."""
    name = client.add_model(str(model))
    start, client._engine.start = client._engine.start, lambda job: None  # type: ignore[method-assign]
    job = client.submit(name, "spectrum", {})
    client._engine.start = start  # type: ignore[method-assign]
    return job


def told_after(count: int, state: str) -> Callable[[], str | None]:
    """Return a `stop` that says so once it was asked `count` times."""
    asked = 0

    def stop() -> str | None:
        nonlocal asked
        asked += 1
        return state if asked > count else None

    return stop


@pytest.mark.parametrize("state", ["CANCELLED", "INTERRUPTED"])
def test_a_stopped_job_keeps_what_it_finished_and_resumes_there(
    client: Client, home: Path, model: Path, state: str
) -> None:
    job = new_job(client, model)
    store: Store = client._engine.store
    executor = InProcess(StoreRecall(store))
    assert running.Run(job, home, store, executor, Around(told_after(5, state)))() == state
    units = client.store.units(job)
    finished = (units["state"] == "done").sum()
    assert 0 < finished < tiny.MATRICES
    assert set(units["state"]) == {"done", "cancelled", "skipped"}
    assert len(rows(client, job).query("status == 'done'")) == finished
    client.resume(job)
    row = client.job(job)
    assert (row["state"], row["skipped"]) == ("DONE", finished)
    assert attempts(client, job) == tiny.MATRICES
    whole = client.submit(client.resolve(str(model)), "spectrum", {})
    pd.testing.assert_frame_equal(rows(client, job), rows(client, whole))


def test_work_that_another_job_has_in_hand_is_waited_for(
    client: Client, home: Path, model: Path
) -> None:
    job = new_job(client, model)
    claims, store = Claims(), client._engine.store
    executor = InProcess(StoreRecall(store))
    submitted = []

    class Watched(InProcess):
        def submit(self, task: Any) -> int:
            submitted.append(task.label)
            if len(submitted) == tiny.MATRICES - 1:
                claims.release(held)  # the other job has finished it
            return super().submit(task)

    plan = executor.plan(requests.of(store, Catalog.load(home), store.job(job).to_pylist()[0]))
    held = plan.tasks[0].identity
    assert claims.take(held)
    executor = Watched(StoreRecall(store))
    assert running.Run(job, home, store, executor, Around(claims=claims))() == "DONE"
    assert submitted[-1] == plan.tasks[0].label


def test_a_store_that_cannot_be_written_ends_the_job_with_its_sentence(
    client: Client, home: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = new_job(client, model)
    claims, store = Claims(), client._engine.store

    def full(*_: Any) -> None:
        raise StoreUnwritable("rankscope.duckdb cannot be written: free some space")

    monkeypatch.setattr(store, "finish_unit", full)
    run = running.Run(job, home, store, InProcess(StoreRecall(store)), Around(claims=claims))
    assert run() == "FAILED"
    assert "free some space" in client.job(job)["message"]
    assert not claims._taken


def test_a_weights_file_that_is_gone_fails_the_job_with_a_sentence(
    client: Client, tmp_path: Path
) -> None:
    folder = tiny.save(tmp_path / "going")
    name = client.add_model(str(folder))
    (folder / "model.safetensors").unlink()
    job = client.submit(name, "spectrum", {})
    row = client.job(job)
    assert (row["state"], row["failed"]) == ("FAILED", 0)
    assert "going" in row["message"]


def test_an_interrupted_local_run_is_marked_and_resumable(
    client: Client, home: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.errors import Interrupted

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    job = new_job(client, model)
    monkeypatch.setattr(InProcess, "wait", interrupted)
    with pytest.raises(Interrupted):
        client._engine.start(job)
    monkeypatch.undo()
    assert client.job(job)["state"] == "INTERRUPTED"
    assert isinstance(client._engine, Local)
    client.resume(job)
    assert client.job(job)["state"] == "DONE"


class Many(InProcess):
    """Ends three tasks at once, as Ray does."""

    def room(self, device: str) -> int:
        return 3 - len(self._queue)

    def wait(self, handles: Any, timeout: float) -> Any:
        return [done for one in handles for done in super(Many, self).wait([one], timeout)]


@pytest.mark.parametrize("faulty", ["link_unit", "submit", "finish_unit"])
def test_no_claim_outlives_a_job_whose_writes_fail(
    client: Client, home: Path, model: Path, monkeypatch: pytest.MonkeyPatch, faulty: str
) -> None:
    job = new_job(client, model)
    claims, store = Claims(), client._engine.store
    executor = Many(StoreRecall(store))
    calls: Counter[str] = Counter()

    def failing(where: Any, name: str, at: int) -> None:
        """Have the call of this number raise, if it is the faulty one; count the others."""
        real = getattr(where, name)

        def call(*given: Any) -> Any:
            calls[name] += name != "link_unit" or given[3] == "running"
            if name == faulty and calls[name] == at:
                raise StoreUnwritable("free some space")
            return real(*given)

        monkeypatch.setattr(where, name, call)

    failing(store, "link_unit", 4)
    failing(executor, "submit", 4)
    failing(store, "finish_unit", 1)
    run = running.Run(job, home, store, executor, Around(claims=claims))
    assert run() == "FAILED"
    assert not claims._taken
    assert calls["finish_unit"] == 3  # what had ended together is settled, whatever failed
    monkeypatch.undo()
    client.resume(job)
    assert client.job(job)["state"] == "DONE"
