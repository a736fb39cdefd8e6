"""The trials of the page of compression: figures and table, one trial, its files."""

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from app.views.parts.trials import figures
from tests.app import fake_client, fake_trials
from tests.app.seen import button, figure, titles, words

PAGE = "compression?model=tiny"


def key(client, start):
    trials = client.store.trials("tiny")
    return trials.loc[trials["label"].str.startswith(start), "unit"].iloc[0]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Return a client of a finished sweep for tests that only read it."""
    client = fake_client.with_models(tmp_path_factory.mktemp("home"), "tiny")
    fake_trials.with_trials(client)
    yield client
    client.own.close()


def table(at, name):
    [found] = [frame.value for frame in at.dataframe if frame.key == name]
    return found


def cards(at):
    return {m.label: (m.value, m.delta.replace("\\", "")) for m in at.metric}


def test_a_finished_sweep_is_drawn_and_listed(kept, opened):
    at = opened(kept, PAGE)
    assert not at.exception
    assert titles(at) == ["Accuracy against size", "Predicted against measured loss", "All trials"]
    names = [trace.name for trace in figure(at, "accuracy").data]
    assert names == ["Pareto front", "svd", "whitened_svd", "dense"]
    shown = table(at, "trials")
    assert len(shown) == 6
    row = shown[shown["trial"] == "2.1"].iloc[0]
    assert (row["method"], row["asked"], row["bytes"]) == ("svd", 90.0, "9.0 MB")
    assert row["Δloss"] == 0.05
    assert row["95 %"] == "[+0.0440, +0.0560]"
    assert row["speed"] == pytest.approx(10 / 9.4)
    assert "Calibrated on the bundled calibration text" in words(at)
    assert fake_trials.EVALUATED in words(at)


def test_every_choice_is_in_the_address_and_comes_back_from_it(kept, opened):
    at = opened(kept, f"{PAGE}&accuracy_by=perplexity&size_by=model&dominated=0")
    assert not at.exception
    drawn = figure(at, "accuracy")
    assert drawn.layout.yaxis.title.text == "perplexity"
    assert drawn.layout.xaxis.title.text == "parameters, whole model (M)"
    assert [trace.name for trace in drawn.data] == ["Pareto front", "whitened_svd", "dense"]
    at.run()
    now = {name: at.query_params[name] for name in ("accuracy_by", "size_by", "dominated")}
    assert now == {"accuracy_by": "perplexity", "size_by": "model", "dominated": "0"}


def test_trials_of_another_text_are_not_mixed_in(swept, opened):
    job = fake_client.add_job(swept.own, "tiny", "trial", labels=["a"])
    other = fake_trials.row("svd", 0.7, 0.3, evaluated_on="another text")
    fake_trials.add_trial(swept, job, other, fake_trials.label("svd", 0.7))
    at = opened(swept, PAGE)
    assert at.selectbox(key="measured").options == ["another text", fake_trials.EVALUATED]
    assert [len(trace.customdata or ()) for trace in figure(at, "accuracy").data] == [0, 1, 0]
    at.selectbox(key="measured").set_value(fake_trials.EVALUATED).run()
    assert "svd" in [trace.name for trace in figure(at, "accuracy").data]
    assert len(table(at, "trials")) == 7


def test_protocols_of_a_list_are_short_where_that_tells_them_apart():
    texts = [
        f'a.txt: preset "{preset}": the whole text (no opening token); {count} windows of 8; end'
        for preset, count in (("stream", 4), ("stream", 9), ("wikitext", 4))
    ]
    assert list(figures.short_words(texts).values()) == [
        'a.txt, preset "stream": 4 windows of 8',
        'a.txt, preset "stream": 9 windows of 8',
        'a.txt, preset "wikitext": 4 windows of 8',
    ]
    alike = [texts[0], f"{texts[0]}, dense 1.9"]
    assert figures.short_words(alike) == {text: text for text in alike}


def test_a_job_of_trials_lists_them_on_the_page_of_jobs(kept, opened):
    job = kept.store.jobs()["id"].iloc[0]
    at = opened(kept, f"jobs?job={job}")
    assert not at.exception
    [shown] = [frame.value for frame in at.dataframe if "Δloss" in frame.value]
    assert len(shown) == 6


def test_other_windows_of_one_text_are_another_measurement(swept, opened):
    job = fake_client.add_job(swept.own, "tiny", "trial", labels=["a"])
    other = fake_trials.row("svd", 0.7, 0.3, dense_score=1.9)
    fake_trials.add_trial(swept, job, other, fake_trials.label("svd", 0.7))
    at = opened(swept, PAGE)
    first, second = at.selectbox(key="measured").options
    assert first.endswith("16 windows, 4 080 tokens, dense 1.900")
    assert second.endswith("16 windows, 4 080 tokens, dense 1.800")
    assert [len(trace.customdata or ()) for trace in figure(at, "accuracy").data] == [0, 1, 0]


def test_a_running_sweep_shows_its_progress_above_what_has_ended(swept, opened):
    job = fake_client.add_job(swept.own, "tiny", "trial", labels=list("abcdef"), state="RUNNING")
    swept.own.set_progress(job, 4, 0, 0, 6)
    at = opened(swept, PAGE)
    assert not at.exception
    assert "4 of 6" in at.get("progress")[0].proto.text
    assert button(at, "Cancel")
    assert len(table(at, "trials")) == 6


def test_a_sweep_that_stopped_can_be_resumed(swept, opened):
    job = fake_client.add_job(swept.own, "tiny", "trial", labels=list("ab"), state="RUNNING")
    swept.own.set_job(job, "CANCELLED")
    at = opened(swept, PAGE)
    assert "What was finished is kept" in words(at)
    button(at, "Resume").click().run()
    assert ("resume", job) in swept.calls


def test_a_click_opens_the_trial_whose_address_leads_back_to_all(kept, opened, monkeypatch):
    held = {}
    monkeypatch.setattr(figures.st, "session_state", held)
    figures.opened(["k"])
    assert held == {"trial": "k"}
    monkeypatch.undo()
    at = opened(kept, f"{PAGE}&trial={key(kept, 'svd, 90')}")
    assert titles(at)[0] == "Trial 2.1 · svd, 90 %, greedy, two factor"
    button(at, "All trials").click().run()
    assert "All trials" in titles(at)
    assert "trial" not in at.query_params


def test_the_open_trial_stands_beside_the_dense_model(kept, opened):
    at = opened(kept, f"{PAGE}&trial={key(kept, 'whitened_svd, 60')}")
    assert not at.exception
    shown = cards(at)
    assert shown["Linear layers kept"] == ("60 %", "asked 60 %")
    assert shown["Whole model kept"] == ("67 %", "3.3 M of 4.9 M")
    assert shown["On disk"] == ("6.6 MB", "9.8 MB dense")
    assert shown["Δloss"] == ("+0.310", "[+0.304, +0.316]")
    assert shown["Predicted Δloss"] == ("+0.279", "measured +0.310")
    assert shown["Perplexity"] == ("8.25", "dense 6.05")
    assert shown["Latency"] == ("7.60 ms", "dense 10 ms: 1.32× as fast")
    assert shown["Peak memory"] == ("21.0 MB", "dense 24.0 MB")
    assert "nan" not in [caption.value for caption in at.caption]  # for what this row lacks
    assert "Rank by block and module" in titles(at)
    assert "Error by layer" in titles(at)
    assert "Recovery" not in titles(at)
    assert "return sum(values)" in " ".join(text.value for text in at.text)
    assert "https://arxiv.org/abs/2403.07378" in words(at)
    at.selectbox(key="layers_by").set_value("kept").run()
    assert "Parameters kept by block and module" in titles(at)


def test_warnings_recovery_and_an_unreliable_prediction_are_said(offered, opened):
    job = fake_client.add_job(offered.own, "tiny", "trial", labels=["a"])
    values = fake_trials.row(
        "rtn:bits=4", 0.5, 0.9, predicted=0.7, warnings="Too few tokens.\nSlower than dense.",
        losses=[3.0, 2.5], control_losses=[2.0, 1.9], recovered=3.1, control=1.75,
        compensation="eora, rank 8",
    )  # fmt: skip
    trial = fake_trials.add_trial(offered, job, values, "rtn:bits=4, + eora rank 8")
    at = opened(offered, f"{PAGE}&trial={trial}")
    assert not at.exception
    assert [w.value.replace("\\", "") for w in at.warning] == [
        "Too few tokens.", "Slower than dense.",
    ]  # fmt: skip
    assert cards(at)["Predicted Δloss"] == ("+0.700", "not reliable above 0.3")
    assert cards(at)["Before recovery"] == ("3.100", "after 2.700")
    assert [t.name for t in figure(at, "recovery").data] == ["factors", "dense control"]
    assert "the control scores 1.750" in words(at)
    assert button(at, "Prepare adapter")


def test_a_failed_trial_names_its_layer_in_the_list_and_on_its_own(swept, opened):
    job = fake_client.add_job(swept.own, "tiny", "trial", labels=[fake_trials.label("svd", 0.4)])
    said = "blocks.1.k holds NaN at row 3: the weights are not finite"
    name = fake_trials.label("svd", 0.4)
    trial = fake_trials.add_trial(swept, job, None, name, state="failed", message=said)
    at = opened(swept, PAGE)
    assert not at.exception
    assert table(at, "failed").iloc[0].tolist() == ["3.1", name, said]
    assert len(table(at, "trials")) == 6
    at = opened(swept, f"{PAGE}&trial={trial}")
    assert not at.exception
    assert said in words(at)
    assert not at.metric


def test_when_every_trial_failed_there_is_no_figure(offered, opened):
    job = fake_client.add_job(offered.own, "tiny", "trial", labels=["a"])
    fake_trials.add_trial(offered, job, None, "svd, 90 %", state="failed", message="no")
    at = opened(offered, PAGE)
    assert not at.exception
    assert titles(at) == ["Failed trials"]


def test_an_unknown_trial_is_said_and_all_are_shown(kept, opened):
    at = opened(kept, f"{PAGE}&trial=nothing")
    assert not at.exception
    assert "This model has no trial nothing" in words(at)
    assert "All trials" in titles(at)


def test_a_form_is_prepared_once_and_then_downloaded(swept, opened, tmp_path):
    trial = key(swept, "svd, 90")
    at = opened(swept, f"{PAGE}&trial={trial}")
    assert not [b for b in at.button if "adapter" in b.label]
    button(at, "Prepare factored").click().run()
    assert swept.calls == [("export", trial, "factored")]
    assert button(at, "Writing factored").disabled
    assert not button(at, "Prepare merged").disabled
    swept.files[trial, "factored"] = path = tmp_path / "tiny-factored.zip"
    with zipfile.ZipFile(path, "w") as written:
        written.writestr("model.safetensors", "0" * 1000)
    at.run()
    assert not at.exception
    labels = [b.proto.label for b in at.get("download_button")]
    assert [label for label in labels if "Download" in label] == ["Download factored"]
    assert str(path) in words(at)


def test_what_is_on_disk_is_shown_and_freed(swept, opened):
    trial = key(swept, "svd, 90")
    folder = trial[:16]  # a folder is named by the beginning of its key
    swept.held = [
        {"what": "weights of a trial", "key": folder, "label": "svd", "bytes": 4e6, "used": 1.0},
        {"what": "working files", "key": "other", "label": "svd", "bytes": 2e6, "used": 1.0},
    ]  # fmt: skip
    at = opened(swept, PAGE)
    shown = table(at, "trials").set_index("trial")["on disk"]
    assert shown["2.1"] == "4.0 MB"
    assert shown.drop("2.1").isna().all()
    assert at.expander[-1].label == "Disk use: 6.0 MB"
    button(at, "Free all working files (2.0 MB)").click().run()
    assert swept.calls[-1] == ("free_disk", None)
    assert at.expander[-1].label == "Disk use: 4.0 MB"
    at = opened(swept, f"{PAGE}&trial={trial}")
    button(at, "Free 4.0 MB").click().run()
    assert swept.calls[-1] == ("free_disk", [folder])
    assert "has no weights on disk" in words(at)


def test_the_pages_import_no_torch():
    code = (
        "import sys; import app.views.parts.trials.view, app.views.parts.trials.form; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_planted_windows_lose_what_they_say():
    nats, dense = map(np.array, fake_trials.windows(0.3))
    assert (nats - dense).sum() / (fake_trials.TOKENS * fake_trials.WINDOWS) == pytest.approx(0.3)
