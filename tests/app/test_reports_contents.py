"""What a report says: all of a job, its numbers as the pages have them, and what is left out."""

import base64
import json

import numpy as np
import pyarrow as pa
import pytest

from app.reports import build, interactive
from app.reports.build import Wanted
from app.reports.names import slug
from jobs.errors import JobError
from tests.app import fake_client, fake_trials
from tests.app.seen import figure


def facts(found):
    return {fact.name: fact.value for fact in found.facts}


def named(report, title):
    [found] = [section for section in report.sections if section.title == title]
    return found


def held(array):
    """Return the numbers of an array as plotly sends it."""
    values = np.frombuffer(base64.b64decode(array["bdata"]), array["dtype"])
    shape = [int(size) for size in str(array.get("shape", len(values))).split(",")]
    return values.reshape(shape).astype(float)


def test_the_header_says_what_was_measured_of_which_bytes(planted):
    said = facts(build.report(planted, "tiny", now=0.0))
    assert said["Model"] == "tiny"
    assert said["Source"] == "/models/tiny"
    assert said["Architecture"] == "LlamaForCausalLM"
    assert said["Weights (sha256)"].endswith("of 9 matrices")
    assert len(said["Weights (sha256)"].split(",")[0]) == 64
    assert said["Weights (sha256)"] != facts(build.report(planted, "other"))["Weights (sha256)"]
    assert said["Rankscope"] == "0.1.0"


def test_nothing_that_failed_or_was_skipped_is_hidden(planted):
    report = build.report(planted, "tiny")
    spectra = named(report, "Weight spectra")
    assert any("blocks.1.k holds NaN at row 3" in said for said in spectra.left_out)
    assert any("blocks.1.down is all zero" in said for said in spectra.left_out)
    [skipped] = named(report, "Not in the profile").left_out
    assert "model.norm.weight" in skipped
    assert "one-dimensional" in skipped
    table = spectra.tables[0]
    assert len(table.frame) == 9
    assert {"status", "message"} <= set(table.shown)


def test_the_grid_has_the_page_s_numbers(planted, opened):
    drawn = named(build.report(planted, "tiny"), "Weight spectra").figures[0]
    page = figure(opened(planted, "rank_profile?model=tiny"), "grid-0")
    assert drawn.title == "Effective rank by block and module"
    np.testing.assert_array_equal(drawn.cells.colour, held(page.data[1].z))


def test_the_decays_are_those_of_the_two_ends(planted):
    figures = named(build.report(planted, "tiny"), "Weight spectra").figures
    [overlaid] = [one for one in figures if one.title == "Singular-value decay · 4 layers"]
    profile = planted.store.profile("tiny")
    inside = profile[profile["block"].notna() & profile["status"].eq("done")]
    order = inside.sort_values("effective_rank_sigma_vs_noise")["layer"].tolist()
    assert {curve.name for curve in overlaid.series} == {*order[:2], *order[-2:]}
    for curve in overlaid.series:
        assert curve.y[0] == 1.0  # normalised
        assert curve.x[-1] == 1.0


def test_a_figure_is_sent_in_single_precision_with_the_same_numbers(planted):
    drawn = named(build.report(planted, "tiny"), "Weight spectra").figures[-1]
    sent = json.loads(interactive.as_json(drawn))
    for series, trace in zip(drawn.series, sent["data"], strict=True):
        for name, values in (("x", series.x), ("y", series.y)):
            assert trace[name]["dtype"] == "f4"
            np.testing.assert_array_equal(held(trace[name]), values.astype(np.float32))


def test_a_dark_page_is_the_light_one_with_the_changes_applied(planted):
    drawn = named(build.report(planted, "tiny"), "Weight spectra").figures[0]
    held = json.loads(interactive.as_json(drawn))
    less = interactive.reduced(drawn)
    dark = json.loads(json.dumps(interactive._drawn(less, dark=True)))
    assert held["dark"]
    for path, value in held["dark"]:
        at = held
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value
    assert {name: held[name] for name in dark} == dark


def test_trade_offs_are_in_and_can_be_left_out(planted):
    section = named(build.report(planted, "tiny"), "Rank trade-offs")
    assert section.figures[0].series
    assert section.tables[0].frame["parameters"].gt(0).all()
    without = build.report(planted, "tiny", Wanted(tradeoffs=False))
    assert "Rank trade-offs" not in [found.title for found in without.sections]
    assert "Rank trade-offs" not in [method.title for method in without.methods]


def test_trials_are_a_table_and_figures_and_can_be_chosen(swept):
    job = swept.store.jobs().query("analysis == 'trial'")["id"].iloc[0]
    section = named(build.report(swept, "tiny", Wanted(jobs=(job,))), "Compression trial")
    summary = section.tables[0].frame
    assert len(summary) == len(fake_trials.LOST)
    titles = [one.title for one in section.figures]
    assert titles[:2] == ["Accuracy against size", "Predicted against measured loss"]
    assert "svd at" in titles[2]
    two = (fake_trials.label("svd", 0.9), fake_trials.label("svd", 0.6))
    chosen = build.report(swept, "tiny", Wanted(jobs=(job,), trials=two))
    assert len(named(chosen, "Compression trial").tables[0].frame) == 2


def test_trials_name_their_methods_with_the_paper(swept):
    said = {method.title: method.words for method in build.report(swept, "tiny").methods}
    assert "https://arxiv.org/abs/2403.07378" in said["Whitened SVD"]
    assert "SVD" in said


def test_methods_say_what_each_number_is(planted):
    [spectra] = [m for m in build.report(planted, "tiny").methods if m.title == "Weight spectra"]
    k95 = next(term for term in spectra.terms if term.title == "k95")
    assert k95.words == "ranks that carry 95 %"
    assert r"\sigma_i^2" in k95.formula


def test_an_analysis_without_a_view_has_bars_and_a_table(fresh):
    add_made_up(fresh)
    report = build.report(fresh, "tiny")
    section = named(report, "A made-up analysis")
    assert section.sentence == "Yield half of the rows."
    assert [one.title for one in section.figures] == ["Half by layer"]
    np.testing.assert_array_equal(section.figures[0].series[0].y, [32.0])
    assert section.tables[0].frame["half"].tolist() == [32.0]
    assert [(one.name, one.value, one.help) for one in section.asked] == [
        ("share", "0.25", "how much to take"),
        ("word", "not set", "any word"),
    ]


def add_made_up(client):
    store = client.own
    store.declare(fake_client.MADE_UP)
    asked = {"share": 0.25, "word": None}
    job = fake_client.add_job(store, "tiny", "made_up", labels=["blocks.0.q"], params=asked)
    unit = {"key": "u", "analysis": "made_up", "version": 1, "params": "{}", "inputs": "[]",
            "state": "done", "message": "", "seconds": 1.0, "device": "cpu",
            "versions": '{"numpy": "1.2.3"}'}  # fmt: skip
    store.finish_unit(unit, pa.Table.from_pylist([{"half": 32.0}]), None, None)
    store.link_unit(job, "blocks.0.q", "u", "done")
    store.set_job(job, "DONE")
    return job


def test_the_record_of_a_job_says_with_what_it_was_computed(fresh):
    add_made_up(fresh)
    said = facts(named(build.report(fresh, "tiny"), "A made-up analysis"))
    assert said["Computed with"] == "numpy 1.2.3"
    assert said["Device"] == "cpu"
    assert len(said["Contents (sha256)"]) == 64


def test_an_analysis_that_is_gone_still_has_its_rows(fresh):
    job = add_made_up(fresh)
    del fresh.analyses["made_up"]
    section = named(build.report(fresh, "tiny", Wanted(jobs=(job,))), "made_up")
    assert "no longer part" in section.sentence


@pytest.mark.parametrize(
    ("model", "wanted", "said"),
    [
        ("tyni", Wanted(), "did you mean 'tiny'"),
        ("tiny", Wanted(jobs=("nothing",)), "unknown job"),
    ],
)
def test_what_is_not_there_is_said(planted, model, wanted, said):
    with pytest.raises(JobError, match=said):
        build.report(planted, model, wanted)


def test_a_job_of_another_model_or_that_runs_is_refused(planted):
    job = planted.store.jobs().query("model == 'other'")["id"].iloc[0]
    with pytest.raises(JobError, match="is of other, not of tiny"):
        build.report(planted, "tiny", Wanted(jobs=(job,)))


def test_a_running_job_is_refused_and_none_finished_is_said(fresh):
    running = fake_client.add_job(fresh.own, "tiny", "made_up", labels=["a"], state="RUNNING")
    with pytest.raises(JobError, match="is running: wait"):
        build.report(fresh, "tiny", Wanted(jobs=(running,)))
    fresh.own.add_model(fake_client.model_row("new", 0), fake_client.tensor_table(LAYERS))
    with pytest.raises(JobError, match="new has no finished job"):
        build.report(fresh, "new")


LAYERS = [("blocks.0.q", "q", 0, (64, 64))]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("../../x", "x"),
        ("<script>alert(1)</script>", "script-alert-1-script"),
        ("Rank by block · σ", "rank-by-block"),
        ("…", "unnamed"),
        ("a" * 200, "a" * 60),
    ],
)
def test_names_of_files_are_harmless(text, name):
    assert slug(text) == name
