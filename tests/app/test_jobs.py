"""The page of jobs: progress, results, what failed, what can be resumed."""

import io

import pandas as pd
import pyarrow as pa
import pytest

from app.views.parts import results, running
from jobs.errors import JobError
from tests.app import fake_client
from tests.app.seen import button, words


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
    unit = {
        "key": f"{job}-{label}", "analysis": "made_up", "version": 1, "params": "{}",
        "inputs": "[]", "state": "done", "message": "", "seconds": 0.1, "device": "cpu",
        "versions": "{}",
    }  # fmt: skip
    store.finish_unit(unit, pa.Table.from_pylist([{"half": half}]), None, None)
    store.link_unit(job, label, unit["key"], "done")


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


def test_a_resume_that_comes_too_late_is_a_sentence(fresh, opened, monkeypatch):
    def resume(self, job):
        raise JobError(f"job {job} is RUNNING: only what has stopped is resumed")

    job = fake_client.add_job(fresh.own, "tiny", "spectrum", labels=["a"], state="RUNNING")
    fresh.own.set_job(job, "CANCELLED", "cancelled")
    monkeypatch.setattr(type(fresh), "resume", resume)
    at = opened(fresh, f"jobs?job={job}")
    button(at, "Resume").click().run()
    assert not at.exception
    assert "only what has stopped is resumed" in words(at)


def test_the_message_of_a_cancelled_job_does_not_stutter(fresh, opened):
    job = fake_client.add_job(fresh.own, "tiny", "spectrum", labels=["a"], state="RUNNING")
    fresh.own.set_progress(job, 0, 0, 18, 36)
    fresh.own.set_job(job, "CANCELLED", "cancelled after 18 of 36 units; resume continues there")
    said = words(opened(fresh, f"jobs?job={job}"))
    assert "This job was cancelled after 18 of 36 units; resume continues there." in said
    assert "Cancelled: 18 of 36 units in" in said
    assert "(18 already stored)." in said


def test_a_job_that_failed_before_any_unit_is_told_in_short_and_not_resumed(fresh, opened):
    job = fake_client.add_job(fresh.own, "tiny", "spectrum", labels=[], state="RUNNING")
    fresh.own.set_job(job, "FAILED", "unknown layer 'x': known: " + "blocks.0.q, " * 191)
    at = opened(fresh, f"jobs?job={job}")
    assert len(at.error[0].value.replace("\\", "")) < 250
    assert "The log has all of it" in at.error[0].value
    assert [b for b in at.button if b.label == "Resume"] == []
    assert "failed before a unit was finished" in words(at)


def test_the_log_names_no_unit_where_there_is_none(fresh, opened):
    fresh.own.log(fresh.store.jobs()["id"][0], "blocks.0.q", "info", "done")
    logged = opened(fresh, "jobs").code[0].value
    assert "nan" not in logged
    assert "blocks.0.q done" in logged


WELORE = {
    **fake_client.MADE_UP,
    "name": "welore",
    "title": "WeLore",
    "params": [],
    "columns": [
        {"name": "layer", "type": "str", "kind": "text"},
        {"name": "threshold", "type": "float", "kind": "note", "title": "threshold"},
        {"name": "pruned", "type": "int", "kind": "count"},
        {"name": "reduction", "type": "float", "kind": "ratio", "title": "rank reduction"},
        {"name": "model_applied_reduction", "type": "float", "kind": "ratio",
         "title": "applied rank cut (layers that take part)"},
    ],
}  # fmt: skip


def test_a_classification_shows_its_layers_and_the_models_numbers_above_them(fresh, opened):
    fresh.analyses["welore"] = WELORE
    fresh.own.declare(WELORE)
    job = fake_client.add_job(fresh.own, "tiny", "welore", labels=["tiny", "norm"])
    fresh.own.link_unit(job, "norm", None, "skipped", "one-dimensional (a norm or a bias)")
    fresh.own.link_unit(job, "blocks.0.q", None, "done")
    shared = {"threshold": 0.125, "pruned": 3, "model_applied_reduction": 0.25}
    named = [("blocks.1.q", 0.5), ("blocks.0.k", 0.25)]
    rows = [{"layer": layer, "reduction": share, **shared} for layer, share in named]
    unit = {
        "key": "whole", "analysis": "welore", "version": 1, "params": "{}", "inputs": "[]",
        "state": "done", "message": "", "seconds": 0.1, "device": "cpu", "versions": "{}",
    }  # fmt: skip
    fresh.own.finish_unit(unit, pa.Table.from_pylist(rows), None, None)
    fresh.own.link_unit(job, "tiny", "whole", "done")
    at = opened(fresh, f"jobs?job={job}")
    assert not at.exception
    assert at.selectbox(key="draw").value == "reduction"
    assert {card.label: card.value for card in at.metric} == {
        "Threshold": "0.125", "Applied rank cut": "25 %",
    }  # fmt: skip
    shown = next(f.value for f in at.dataframe if "reduction" in f.value)
    assert shown["layer"].tolist() == ["blocks.0.k", "blocks.1.q"]
    assert "model_applied_reduction" not in shown


def test_results_begin_with_a_measured_layer(planted, opened):
    shown = next(f.value for f in opened(planted, "jobs").dataframe if "k95" in f.value)
    assert shown["label"].iloc[0] == "blocks.0.q"
    assert set(shown["status"]) == {"done", "failed", "zero"}


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
    assert results.as_csv(table) == b"label,half\na,0.5\n"
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(results.as_parquet(table))), table)


def test_a_job_of_one_unit_shows_the_parts_of_that_unit():
    job = {"state": "RUNNING", "started": 100.0}
    said = running.part_words(job, {"done": 3, "total": 12, "words": "step 3"}, now=130.0)
    assert said == "25 %, step 3 · about 1 min 30 s left"
    assert running.part_words(job, {"done": 0, "total": 12, "words": ""}, now=130.0) == "0 %"


def test_an_empty_home_says_where_to_launch(empty, opened):
    assert "Launch one on **Analyses**" in words(opened(empty, "jobs"))
