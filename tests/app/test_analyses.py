"""The page of analyses: a form from any declaration, the work it would be, the view of a result."""

import json

import numpy as np
import pyarrow as pa
import pytest

from app.views.parts import launch, results
from jobs.errors import JobError
from tests.app import fake_client
from tests.app.seen import button, words


def test_a_made_up_analysis_has_a_form_and_is_launched_with_what_it_says(fresh, opened):
    at = opened(fresh, "analyses?model=tiny&analysis=made_up&glob=blocks.0.*")
    assert not at.exception
    assert "4 of 9 matrices" in words(at)
    at.number_input(key="made_up.share").set_value(0.25).run()
    button(at, "Launch").click().run()
    assert fresh.calls == [("submit", "tiny", "made_up", {"share": 0.25}, "blocks.0.*", "auto")]
    assert not at.exception
    job = fresh.store.jobs()["id"][0]
    assert at.selectbox(key="job").value == job
    assert at.query_params["job"] == job


def test_a_layer_name_that_matches_nothing_cannot_be_launched(fresh, opened):
    at = opened(fresh, "analyses?model=tiny&analysis=made_up&glob=nothing.*")
    assert "no layer is named nothing.*" in words(at)
    assert button(at, "Launch").disabled


def test_a_job_that_runs_is_not_launched_again(fresh, opened):
    at = opened(fresh, "analyses?model=tiny&analysis=made_up")
    button(at, "Launch").click().run()
    [job] = [name for name in fresh.store.jobs()["id"] if name.startswith("made_up")]
    button(at, "Launch").click().run()
    assert f"Already running as {job}" in words(at)
    assert len(fresh.calls) == 1
    assert f"layers * · job {job}" in at.get("progress")[0].proto.text.replace("\\", "")
    at.number_input(key="made_up.share").set_value(0.25).run()
    button(at, "Launch").click().run()
    assert len(fresh.calls) == 2


def test_a_running_job_of_another_analysis_is_no_obstacle(fresh, opened):
    others = {"target_reduction": 0.5}  # which the analysis to launch does not know
    fake_client.add_job(fresh.own, "tiny", "welore", labels=["a"], state="RUNNING", params=others)
    at = opened(fresh, "analyses?model=tiny&analysis=made_up")
    button(at, "Launch").click().run()
    assert not at.error
    assert len(fresh.calls) == 1


def test_an_empty_home_says_what_to_do_next(empty, opened):
    assert "No model yet" in words(opened(empty, "analyses"))


def test_a_broken_analysis_file_is_named_and_hides_no_other(fresh, opened):
    fresh.broken = {"mine": "SyntaxError: invalid syntax"}
    at = opened(fresh, "analyses")
    assert "analysis/mine.py could not be imported" in words(at)
    assert button(at, "Launch")


def test_a_browse_only_server_offers_no_launch(planted, opened, monkeypatch):
    monkeypatch.setattr(planted, "can_run", False)
    at = opened(planted, "analyses")
    assert "browse only" in words(at)
    assert [b for b in at.button if b.label == "Launch"] == []


def test_a_launch_that_would_not_fit_is_refused_with_the_number(fresh, opened, monkeypatch):
    said = "made_up of tiny needs about 31 GB and 12 GB are free: choose fewer layers"

    def predict(self, model, analysis, params, layers="*", **_):
        return {"words": "all of it", "bytes": 31e9, "seconds": 9.0, "refused": said}

    monkeypatch.setattr(type(fresh), "predict", predict)
    at = opened(fresh, "analyses?model=tiny&analysis=made_up")
    assert said in words(at)
    assert button(at, "Launch").disabled


def test_a_text_that_cannot_be_read_is_a_sentence_beside_the_button(fresh, opened, monkeypatch):
    def predict(self, model, analysis, params, layers="*", **_):
        raise JobError("the text nowhere.txt cannot be read (No such file): check the path")

    monkeypatch.setattr(type(fresh), "predict", predict)
    at = opened(fresh, "analyses?model=tiny&analysis=made_up")
    assert not at.exception
    assert "nowhere.txt cannot be read" in words(at)
    assert button(at, "Launch").disabled


def test_predicted_work_names_its_time_and_its_memory():
    found = {"words": "3 windows.", "bytes": 2_400_000_000, "seconds": 75.0}
    assert (
        launch.work_words(found) == "3 windows · about 1 min 15 s on two cores · 2.4 GB of memory"
    )
    assert launch.work_words({"words": "3 windows", "bytes": 0, "seconds": None}) == "3 windows"


SERIES = {**fake_client.MADE_UP, "name": "made_series", "title": "A series", "unit": "series"}
TRAINING = {**fake_client.MADE_UP, "name": "made_run", "title": "A run", "unit": "training"}


def test_an_analysis_of_checkpoints_asks_for_a_folder_of_them(fresh, opened):
    fresh.analyses["made_series"] = SERIES
    at = opened(fresh, "analyses?analysis=made_series")
    assert "No folder of checkpoints here" in words(at)
    assert [b for b in at.button if b.label == "Launch"] == []
    layers = [("blocks.0.q", "q", 0, (64, 64))]
    row = fake_client.model_row("run", 1) | {"kind": "series", "steps": json.dumps([[0, "/a"]])}
    fresh.own.add_model(row, fake_client.tensor_table(layers))
    at = opened(fresh, "analyses?analysis=made_series")
    assert at.selectbox(key="series").options == ["run"]


def test_training_asks_for_no_model(fresh, opened):
    fresh.analyses["made_run"] = TRAINING
    at = opened(fresh, "analyses?analysis=made_run")
    assert not at.exception
    assert "there is none to choose" in words(at)
    assert "model" not in [box.key for box in at.selectbox]


def test_a_running_jobs_rows_are_drawn_and_said_to_be_partial(fresh, opened):
    job = fake_client.add_job(fresh.own, "tiny", "made_up", labels=["model"], state="RUNNING")
    fresh.own.set_progress(job, 0, 0, 0, 1)
    at = opened(fresh, f"analyses?model=tiny&analysis=made_up&job={job}")
    assert not at.exception
    assert "No results yet" in words(at)


def test_a_result_is_drawn_in_its_own_view_with_its_rows_below(fresh, opened):
    fresh.own.declare(fake_client.MADE_UP)
    job = fake_client.add_job(fresh.own, "tiny", "made_up", labels=["blocks.0.q"])
    unit = {
        "key": "k", "analysis": "made_up", "version": 1, "params": "{}", "inputs": "[]",
        "state": "done", "message": "", "seconds": 0.1, "device": "cpu", "versions": "{}",
    }  # fmt: skip
    fresh.own.finish_unit(unit, pa.Table.from_pylist([{"half": 32.0}]), None, None)
    fresh.own.link_unit(job, "blocks.0.q", "k", "done")
    fresh.own.set_job(job, "DONE")
    at = opened(fresh, "analyses?model=tiny&analysis=made_up")
    assert not at.exception
    assert at.selectbox(key="draw").options == ["Half"]
    assert next(f.value for f in at.dataframe if "half" in f.value)["half"].tolist() == [32.0]


def test_long_lists_are_counted_in_the_table_and_whole_in_the_file():
    table = results.pd.DataFrame({"label": ["a"], "s": [np.arange(100.0)], "few": [[1.0, 2.0]]})
    short = results.short_lists(table)
    assert short["s"][0] == "100 numbers"
    assert short["few"][0] == [1.0, 2.0]
    assert "99." in results.as_csv(table).decode()


@pytest.mark.parametrize("view", ["nothing", "not an identifier", "", "os"])
def test_a_view_without_a_panel_gets_the_plain_one(view):
    from app.views.parts.panels import panel

    assert panel(view).__module__.endswith(".plain")


def test_an_analysis_of_the_whole_model_asks_for_no_layers(fresh, opened):
    fresh.analyses["made_up"] = {**fake_client.MADE_UP, "by_layer": False}
    at = opened(fresh, "analyses?model=tiny&analysis=made_up&glob=blocks.0.*")
    assert "glob" not in [field.key for field in at.text_input]
    button(at, "Launch").click().run()
    assert fresh.calls[0][4] == "*"
