"""Units on a whole model and training runs in Ray workers: seen, killed, cancelled, resumed."""

from collections.abc import Iterator

import psutil
import pytest

from tests.jobs import tiny
from tests.jobs.served import Served
from tests.jobs.waiting import until


@pytest.fixture(autouse=True)
def _released(served: Served) -> Iterator[None]:
    yield
    served.gate.release()


def seen(served: Served, job: str) -> list[float]:
    return [float(top) for top in served.client.store.results(job)["norm"].dropna()]


def held_at(served: Served, factor: float, steps: int = 3) -> str:
    """Start a training run that is held at a step, and wait until the rows before it are seen."""
    served.gate.hold()
    served.gate.let(steps)
    job = served.client.submit("sample", "trained", {"factor": factor})
    until(lambda: seen(served, job) == [float(i) for i in range(steps)], 60, "for live rows")
    return job


def test_a_killed_worker_of_a_training_run_goes_on_and_doubles_no_row(served: Served) -> None:
    job = held_at(served, 1.0)
    [progress] = served.client.store.progress(job).drop(columns="at").to_dict("records")
    assert progress == {"label": "training", "done": 3, "total": 6, "words": "step 2"}
    pid, _ = served.gate.calls()[-1]
    psutil.Process(pid).kill()
    until(lambda: served.gate.calls()[-1] != (pid, "3"), 60, "for a second worker")
    until(lambda: seen(served, job) == [0.0, 1.0, 2.0], 60, "for its rows")
    served.gate.release()
    assert served.end(job)["state"] == "DONE"
    assert seen(served, job) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    computed = [step for _, step in served.gate.calls() if step != "kept"]
    assert computed == ["0", "1", "2", "3", "3", "4", "5"]
    assert len(served.client.store.artifacts(list(served.client.store.units(job)["unit"]))) == 6


def test_a_cancelled_training_run_keeps_its_rows_and_goes_on(served: Served) -> None:
    job = held_at(served, 2.0)
    served.client.cancel(job)
    assert served.end(job, 15)["state"] == "CANCELLED"
    found = served.client.store.results(job)
    assert list(found["norm"]) == [0.0, 1.0, 2.0]
    assert set(found["status"]) == {"cancelled"}
    assert "3 rows and 3 checkpoints are kept: resume goes on" in found["message"][0]
    kept = served.client.checkpoints(job)
    assert kept is not None
    assert sorted(path.name for path in kept.iterdir()) == ["step_0", "step_1", "step_2"]
    served.gate.hold()
    served.gate.release()
    served.client.resume(job)
    assert served.end(job)["state"] == "DONE"
    assert seen(served, job) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert [step for _, step in served.gate.calls()] == ["kept"] * 3 + ["3", "4", "5"]


def test_one_training_run_asked_for_with_two_models_is_run_once(served: Served) -> None:
    job = held_at(served, 5.0)
    twin = served.client.submit(served.model(), "trained", {"factor": 5.0})
    until(lambda: len(served.client.store.units(twin)) == 1, 60, "for the twin's plan")
    assert set(served.client.store.units(twin)["state"]) == {"waiting"}
    served.gate.release()
    assert [served.end(each)["state"] for each in (job, twin)] == ["DONE", "DONE"]
    assert [served.client.job(each)["skipped"] for each in (job, twin)] == [0, 1]
    assert [step for _, step in served.gate.calls()] == ["0", "1", "2", "3", "4", "5"]
    assert seen(served, twin) == seen(served, job) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_cancelled_unit_on_a_model_leaves_no_row_and_is_resumed(served: Served) -> None:
    served.gate.hold()
    served.gate.let(2)
    job = served.client.submit(served.model(), "viewed", {})
    until(lambda: len(served.gate.calls()) == 3, 60, "for the third layer")
    until(lambda: (served.client.store.progress(job)["done"] == 2).any(), 10, "for progress")
    served.client.cancel(job)
    assert served.end(job, 15)["state"] == "CANCELLED"
    assert served.client.store.table("result_viewed").empty
    assert served.client.store.progress(job).empty
    served.gate.release()
    served.client.resume(job)
    row = served.end(job)
    assert (row["state"], row["done"], row["total"]) == ("DONE", 1, 1)
    assert len(seen(served, job)) == tiny.MATRICES


def test_what_is_too_large_is_predicted_and_refused(served: Served) -> None:
    name = served.model()
    words = ("analyze", name, "viewed", "--layers", "blocks.0.*", "--set")
    code, out, err = served.command(*words, "factor=0.001", "--predict").ended()
    assert (code, out, err) == (0, "7 looks\nmemory: about 1.0 MB\n", "")
    for more in ((), ("--predict",)):
        code, out, err = served.command(*words, "factor=1e6", *more).ended()
        assert code == 2, (out, err)
        assert f"viewed of {name} needs about 1000 TB" in err
        assert "look less" in err


def test_the_commands_show_a_prediction_and_where_the_checkpoints_are(served: Served) -> None:
    words = ("analyze", "sample", "trained", "--set", "factor=3")
    code, out, err = served.command(*words, "--predict").ended()
    assert (code, err) == (0, "")
    assert out == "One run; how long it takes is not known\n"
    code, out, err = served.command(*words).ended()
    assert code == 0, err
    job = out.split("job ")[1].split(":")[0]
    assert f"python -m jobs models add {served.client.checkpoints(job)}" in out
