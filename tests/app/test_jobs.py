"""The page of jobs: a form from any declaration, progress, results, what failed."""

import io

import pandas as pd
import pytest

from app.views.parts import job_panel, running
from jobs.errors import JobError
from tests.app import fake_client


def words(at):
    kinds = ("caption", "markdown", "info", "warning", "error", "subheader")
    return " ".join(e.value for kind in kinds for e in getattr(at, kind)).replace("\\", "")


def button(at, label):
    [found] = [b for b in at.button if b.label == label]
    return found


def test_a_made_up_analysis_has_a_form_and_is_launched_with_what_it_says(fresh, opened):
    at = opened(fresh, "jobs?model=tiny&analysis=made_up&glob=blocks.0.*")
    assert not at.exception
    assert "4 of 9 matrices" in words(at)
    at.number_input(key="made_up.share").set_value(0.25).run()
    button(at, "Launch").click().run()
    assert fresh.calls == [("submit", "tiny", "made_up", {"share": 0.25}, "blocks.0.*", "auto")]
    assert not at.exception
    job = fresh.store.jobs()["id"][0]
    assert at.selectbox(key="job").value == job
    assert at.query_params["job"] == job


def test_rows_of_a_made_up_analysis_are_bars_and_a_table(fresh, opened):
    fresh.own.declare(fake_client.MADE_UP)
    job = fake_client.add_job(fresh.own, "tiny", "made_up", labels=["blocks.0.q"])
    add_row(fresh.own, job, "blocks.0.q", half=32.0)
    at = opened(fresh, f"jobs?job={job}")
    assert not at.exception
    assert at.selectbox(key="draw").options == ["Half"]
    shown = next(f.value for f in at.dataframe if "half" in f.value)
    assert shown["half"].tolist() == [32.0]


def add_row(store, job, label, half):
    import pyarrow as pa

    unit = {
        "key": f"{job}-{label}", "analysis": "made_up", "version": 1, "params": "{}",
        "inputs": "[]", "state": "done", "message": "", "seconds": 0.1, "device": "cpu",
        "versions": "{}",
    }  # fmt: skip
    store.finish_unit(unit, pa.Table.from_pylist([{"half": half}]), None, None)
    store.link_unit(job, label, unit["key"], "done")


def test_a_layer_name_that_matches_nothing_cannot_be_launched(fresh, opened):
    at = opened(fresh, "jobs?model=tiny&glob=nothing.*")
    assert "No layer is named nothing.*" in words(at)
    assert button(at, "Launch").disabled


def test_a_failure_names_its_layer(planted, opened):
    at = opened(planted, "jobs")
    assert "blocks.1.k: blocks.1.k holds NaN at row 3" in at.error[0].value.replace("\\", "")


def test_a_running_job_shows_progress_and_can_be_cancelled(fresh, opened):
    job = fake_client.add_job(fresh.own, "tiny", "spectrum", labels=list("abcd"), state="RUNNING")
    fresh.own.set_progress(job, 1, 0, 0, 4)
    at = opened(fresh, "jobs")
    assert "spectrum of tiny · 1 of 4" in at.get("progress")[0].proto.text.replace("\\", "")
    at.button(key=f"cancel-{job}").click().run()
    assert ("cancel", job) in fresh.calls


def test_a_cancel_that_comes_too_late_is_a_sentence(fresh, opened, monkeypatch):
    def cancel(self, job):
        raise JobError(f"job {job} is DONE already: there is nothing to cancel")

    job = fake_client.add_job(fresh.own, "tiny", "spectrum", labels=["a"], state="RUNNING")
    monkeypatch.setattr(type(fresh), "cancel", cancel)
    at = opened(fresh, "jobs")
    at.button(key=f"cancel-{job}").click().run()
    assert not at.exception
    assert not at.error


@pytest.mark.parametrize("state", ["CANCELLED", "INTERRUPTED"])
def test_a_job_that_stopped_can_be_resumed(fresh, opened, state):
    job = fake_client.add_job(fresh.own, "tiny", "spectrum", labels=["a"], state="RUNNING")
    fresh.own.set_job(job, state, "")
    at = opened(fresh, f"jobs?job={job}")
    assert state.lower() in words(at)
    button(at, "Resume").click().run()
    assert ("resume", job) in fresh.calls


def test_an_empty_home_says_what_to_do_next(empty, opened):
    assert "No model yet" in words(opened(empty, "jobs"))


def test_a_broken_analysis_file_is_named_and_hides_no_other(fresh, opened):
    fresh.broken = {"mine": "SyntaxError: invalid syntax"}
    at = opened(fresh, "jobs")
    assert "analysis/mine.py could not be imported" in words(at)
    assert button(at, "Launch")


def test_a_browse_only_server_offers_no_launch(planted, opened, monkeypatch):
    monkeypatch.setattr(planted, "can_run", False)
    at = opened(planted, "jobs")
    assert "browse only" in words(at)
    assert [b for b in at.button if b.label == "Launch"] == []


def test_time_left_counts_only_what_was_computed():
    job = {"state": "RUNNING", "done": 2, "failed": 1, "skipped": 4, "total": 10, "started": 100.0}
    said = running.progress_words(job, now=130.0)
    assert said == "7 of 10, 1 failed · about 30 s left"
    waiting = {**job, "state": "QUEUED"}
    assert running.progress_words(waiting, now=130.0) == "waiting for its turn"
    only_stored = {**job, "done": 0, "failed": 0}
    assert running.progress_words(only_stored, now=130.0) == "4 of 10"


def test_results_are_downloaded_as_csv_and_parquet():
    table = pd.DataFrame({"label": ["a"], "half": [0.5]})
    assert job_panel.as_csv(table) == b"label,half\na,0.5\n"
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(job_panel.as_parquet(table))), table)
