"""The form of the page of compression: what it offers, refuses, takes over and launches."""

import json

import pytest

from app.views.parts.trials import carry, methods
from tests.app import fake_client, fake_trials
from tests.app.seen import button, titles, words

PAGE = "compression?model=tiny"


def test_an_empty_home_says_what_to_do_next(empty, opened):
    assert titles(opened(empty, "compression")) == ["No model yet"]


def test_without_trials_the_form_is_open_and_says_what_to_do_next(offered, opened):
    at = opened(offered, PAGE)
    assert not at.exception
    assert titles(at) == ["No trial of tiny yet"]
    assert at.expander[0].proto.expanded
    assert not [b for b in at.button if "starter" in b.label]  # there is no sample here


def test_the_starter_sweep_is_one_click(offered, opened):
    fake_client.add_profile(offered.own, "sample")
    at = opened(offered, PAGE)
    button(at, "Launch a starter sweep on the sample").click().run()
    assert not at.exception
    params = {"methods": "svd, whitened_svd", "kept": "0.9, 0.8, 0.6"}
    assert offered.calls == [("submit", "sample", "trial", params, "*", "auto")]
    assert at.selectbox(key="model").value == "sample"
    assert titles(at) == ["The first trial is on its way"]


def test_a_sweep_is_launched_with_what_the_form_says(offered, opened):
    at = opened(offered, f"{PAGE}&methods=svd&methods=rtn&kept=0.7&glob=blocks.*")
    at.text_input(key="calibrate").set_value("my.txt").run()
    at.selectbox(key="trial.rtn.bits").set_value(3).run()
    at.number_input(key="trial.recovery_steps").set_value(20).run()
    assert "8 of 9 matrices" in words(at)
    button(at, "Launch").click().run()
    assert not at.exception
    [(_, model, analysis, params, layers, device)] = offered.calls
    assert (model, analysis, layers, device) == ("tiny", "trial", "blocks.*", "auto")
    assert params["methods"] == "svd, rtn:bits=3"
    assert (params["kept"], params["calibrate"]) == ("0.7", "my.txt")
    assert (params["allocations"], params["forms"]) == ("greedy", "two_factor")
    assert params["recovery_steps"] == 20
    # What was left as it is comes from the declaration.
    assert set(params) == {
        "methods", "kept", "calibrate", "allocations", "forms", "recovery_steps",
    }  # fmt: skip


def test_every_declared_setting_has_a_widget(offered, opened):
    at = opened(offered, PAGE)
    keys = {w.key for kind in ("selectbox", "text_input", "number_input", "checkbox", "multiselect",
                               "text_area") for w in at.get(kind)}  # fmt: skip
    named = {field["name"] for field in fake_trials.TRIAL["params"]}
    assert named == {name for name in named if {name, f"trial.{name}"} & keys}


def test_both_texts_say_what_they_are_when_none_is_named(offered, opened):
    at = opened(offered, PAGE)
    assert "Not set: the bundled calibration text." in words(at)
    assert "Not set: the bundled held-out text." in words(at)


def test_a_model_that_cannot_be_compressed_is_refused_and_the_form_stays(
    offered, opened, monkeypatch
):
    said = "tiny is a convolutional network: trials of those come later"

    def predict(self, model, analysis, params, layers="*", **_):
        return {"words": "", "bytes": 0, "seconds": None, "refused": said}

    monkeypatch.setattr(type(offered), "predict", predict)
    at = opened(offered, PAGE)
    assert said in words(at)
    assert button(at, "Launch").disabled
    assert at.multiselect(key="methods").value == ["two_sided_svd"]


def test_without_a_method_there_is_nothing_to_launch(offered, opened):
    at = opened(offered, f"{PAGE}&methods=none")
    assert "Choose a method" in words(at)
    assert not [b for b in at.button if b.label == "Launch"]


@pytest.mark.parametrize("kept", ["", " "])
def test_without_a_size_there_is_nothing_to_launch(offered, opened, kept):
    at = opened(offered, PAGE)
    at.text_input(key="kept").set_value(kept).run()
    assert "Choose a size" in words(at)
    assert "Launch" not in [b.label for b in at.button]


def test_a_method_that_takes_no_share_says_what_sets_its_size(offered, opened):
    at = opened(offered, f"{PAGE}&methods=rtn&kept=0.5")
    assert not at.exception
    assert at.text_input(key="kept").disabled
    assert "rtn takes no share to keep: bits sets its size" in words(at)
    # Codes are of no rank: there is none to allocate, and one way to store them.
    assert not {"allocations", "forms"} & {box.key for box in at.multiselect}
    assert "these methods have sizes and a form of their own" in words(at)
    button(at, "Launch").click().run()
    params = offered.calls[0][3]
    assert params == {
        "methods": "rtn", "kept": "0.8", "allocations": "greedy", "forms": "two_factor",
    }  # fmt: skip
    at = opened(offered, f"{PAGE}&methods=rtn&methods=svd&kept=0.5")
    assert not at.text_input(key="kept").disabled
    assert {"allocations", "forms"} <= {box.key for box in at.multiselect}
    button(at, "Launch").click().run()
    assert offered.calls[1][3]["kept"] == "0.5"


def test_an_adapter_is_asked_for_no_allocation_and_no_form(offered, opened, monkeypatch):
    row = fake_client.model_row
    monkeypatch.setattr(fake_client, "model_row", lambda *given: row(*given) | {"kind": "adapter"})
    fake_client.add_profile(offered.own, "tuned")
    at = opened(offered, "compression?model=tuned")
    assert not at.exception
    assert at.multiselect(key="methods").value == ["lora_shrink"]
    assert not {"allocations", "forms"} & {box.key for box in at.multiselect}
    assert "An adapter stays an adapter" in words(at)
    assert not at.text_input(key="kept").disabled
    at.number_input(key="trial.lora_shrink.rank").set_value(2).run()
    assert at.text_input(key="kept").disabled
    assert "lora_shrink:rank=2 takes no share to keep: rank sets its size" in words(at)
    button(at, "Launch").click().run()
    assert offered.calls[0][3]["methods"] == "lora_shrink:rank=2"


def test_a_browse_only_server_shows_trials_and_launches_none(swept, opened):
    swept.can_run = False
    at = opened(swept, PAGE)
    assert "browse only" in words(at)
    assert "Accuracy against size" in titles(at)
    assert not [b for b in at.button if b.label == "Launch"]


def test_a_point_of_another_page_is_taken_over(offered, opened):
    at = opened(offered, "rank_tradeoffs?model=tiny")
    at.session_state["carried to a trial"] = _carried(0.45, "uniform", "row_interpolative", None)
    at.switch_page("views/compression.py").run()
    assert not at.exception
    assert at.text_input(key="kept").value == "0.45"
    assert at.multiselect(key="allocations").value == ["uniform"]
    assert at.multiselect(key="forms").value == ["row_interpolative"]
    assert at.selectbox(key="trial.objective").value == "total"
    assert at.query_params["kept"] == "0.45"
    button(at, "Launch").click().run()
    assert offered.calls[0][3]["objective"] == "total"


def test_ranks_by_hand_are_carried_and_launched(offered, opened):
    ranks = {"blocks.0.q": 12, "blocks.1.down": 7}
    at = opened(offered, "rank_tradeoffs?model=tiny")
    at.session_state["carried to a trial"] = _carried(0.45, "greedy", "two_factor", ranks)
    at.switch_page("views/compression.py").run()
    assert "Ranks by hand for 2 layers" in words(at)
    button(at, "Launch").click().run()
    assert json.loads(offered.calls[0][3]["ranks"]) == ranks
    at.text_area(key="trial.ranks").set_value("12").run()
    assert "are no JSON of layers and ranks" in words(at)


def _carried(kept, allocation, form, ranks):
    """Return what `carry` keeps, from a session of its own."""
    held = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.views.parts.trials.carried.st.session_state", held)
        carry(kept, allocation, form, "total", ranks)
    return held["carried to a trial"]


def test_a_trial_is_not_launched_on_the_page_of_analyses(offered, opened):
    at = opened(offered, "analyses?model=tiny")
    assert "trial" not in at.selectbox(key="analysis").options
    assert len(at.selectbox(key="analysis").options) == 2


def test_settings_are_written_only_where_they_are_no_defaults():
    fields = fake_trials.METHODS["rtn"]["params"]
    assert methods.spelled("rtn", fields, {"bits": 4, "group": 64}) == "rtn"
    assert methods.spelled("rtn", fields, {"bits": 3, "group": 32}) == "rtn:bits=3:group=32"


def test_methods_are_those_for_the_kind_of_model():
    found = {
        "svd": {}, "lora_extract": {"updates": ["delta", "adapter"]},
        "lora_shrink": {"updates": ["adapter"]},
    }  # fmt: skip
    assert list(methods.fitting(found, "transformers")) == ["svd"]
    assert list(methods.fitting(found, "delta")) == ["lora_extract"]
    assert list(methods.fitting(found, "adapter")) == ["lora_extract", "lora_shrink"]
    assert methods.first(found, "adapter", "svd") == "lora_shrink"
    assert methods.first(found, "transformers", "svd") == "svd"
    assert methods.is_update(found, "lora_shrink:rank=2")
    assert not methods.is_update(found, "svd")
