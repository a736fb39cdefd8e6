"""The page that compares: only what differs, values by hand, and an address that says all of it."""

import base64
import hashlib
import json

import numpy as np
import pyarrow as pa
import pytest

from app.plots.difference import MINUS
from jobs.comparison import paired
from tests.app import fake_client, fake_trials
from tests.app.seen import figure, titles, words

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def deep_and_flat(tmp_path_factory):
    """Return a client of a model of four blocks and one of two; tests only read it."""
    client = fake_client.with_models(tmp_path_factory.mktemp("home"))
    fake_client.add_profile(client.own, "deep", blocks=4, seed=1)
    fake_client.add_profile(client.own, "flat", blocks=2, seed=2)
    for seed, layer in enumerate(("blocks.0.q", "blocks.1.q"), start=2):
        measure_again(client.own, "flat", layer, seed)
    yield client
    client.own.close()


def measure_again(store, model, layer, seed):
    """Give a layer other weights with a spectrum of their own: planted ones go by position."""
    job = fake_client.add_job(store, model, "spectrum", labels=[layer])
    others = f"other {model}"
    fake_client.add_unit(store, job, (others, layer), (64, 64), state="done", seed=seed)
    store.link_matrix(model, layer, hashlib.sha256(f"{others}{layer}".encode()).hexdigest())
    store.set_job(job, "DONE")


@pytest.fixture
def two_jobs(fresh):
    """Return a client with two finished jobs of an analysis on a model, a row of which differs."""
    add_made_up(fresh, 0.5, {"blocks.0.q": 1.0, "blocks.0.k": 2.0})
    add_made_up(fresh, 0.25, {"blocks.0.q": 1.0, "blocks.0.k": 1.5, "blocks.1.q": 4.0})
    return fresh


def add_made_up(client, share, halves):
    declared = fake_client.MADE_UP
    client.own.declare(declared)
    params = {"share": share, "word": "same"}
    job = fake_client.add_job(client.own, "tiny", "made_up", params=params, labels=list(halves))
    for layer, half in halves.items():
        key = f"{job}-{layer}"
        unit = {"key": key, "analysis": "made_up", "version": 1, "params": json.dumps(params),
                "inputs": "[]", "state": "done", "message": "", "seconds": 0.1, "device": "cpu",
                "versions": "{}"}  # fmt: skip
        client.own.finish_unit(unit, pa.Table.from_pylist([{"half": half}]), None, None)
        client.own.link_unit(job, layer, key, "done")
    client.own.set_job(job, "DONE")
    return job


def frame(at, first):
    [found] = [f.value for f in at.dataframe if f.value.columns[0] == first]
    return found


def facts(at):
    return frame(at, "").set_index("")


def layers(at):
    return frame(at, "layer").set_index("layer")


def test_two_models_stand_side_by_side_and_only_what_differs_is_told(deep_and_flat, opened):
    at = opened(deep_and_flat, "compare")
    assert not at.exception
    assert at.multiselect(key="models").value == ["deep", "flat"]
    assert [metric.label for metric in at.metric] == ["A · deep", "B · flat"]
    shown = facts(at)
    assert shown.columns.tolist() == ["A · deep", "B · flat"]
    assert shown.loc["matrices"].tolist() == ["17", "9"]
    assert "architecture" not in shown.index
    at.toggle(key="every").set_value(True).run()
    assert facts(at).loc["architecture"].tolist() == ["LlamaForCausalLM"] * 2
    assert at.query_params["every"] in ("1", ["1"])


def test_the_table_has_both_values_and_their_difference(deep_and_flat, opened):
    at = opened(deep_and_flat, "compare?models=deep&models=flat&metric=stable_rank&scale=absolute")
    store = deep_and_flat.store
    ours, theirs = (
        store.profile(n).set_index("layer")["stable_rank"].astype(float) for n in ("deep", "flat")
    )
    row = layers(at).loc["blocks.0.q"]
    assert row["A Stable rank"] == ours["blocks.0.q"]
    assert row["B Stable rank"] == theirs["blocks.0.q"]
    assert row[f"A {MINUS} B Stable rank"] == ours["blocks.0.q"] - theirs["blocks.0.q"]
    assert layers(at).loc["blocks.3.q", "in"] == "A only"
    assert np.isnan(layers(at).loc["blocks.3.q", "B Stable rank"])


def test_the_grid_has_the_same_difference_and_every_layer(deep_and_flat, opened):
    at = opened(deep_and_flat, "compare?models=deep&models=flat&metric=stable_rank&scale=absolute")
    drawn = figure(at, "grid-1-0")
    packed = drawn.data[1].z  # rows of modules, columns of blocks
    shape = [int(length) for length in packed["shape"].split(",")]
    colour = np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"]).reshape(shape)
    row = list(drawn.layout.yaxis.ticktext).index("q")
    assert colour[row][0] == layers(at).loc["blocks.0.q", f"A {MINUS} B Stable rank"]
    assert np.isnan(colour[row][3])
    assert f"Stable rank · A {MINUS} B" in titles(at)
    assert "A minus B" in words(at)
    assert "Grey: 8 only A has" in words(at)


def test_a_click_opens_both_decays_of_the_place(deep_and_flat, opened):
    at = opened(deep_and_flat, "compare?layers=blocks.1.q")
    assert [trace.name for trace in figure(at, "decay").data] == [
        "A · blocks.1.q",
        "B · blocks.1.q",
    ]
    assert at.toggle(key="normalised").value is True
    at = opened(deep_and_flat, "compare?layers=blocks.3.q")
    assert "B has no blocks.3.q." in words(at)


def test_by_relative_depth_the_last_blocks_meet(deep_and_flat, opened):
    at = opened(deep_and_flat, "compare?blocks=depth&differing=0")
    assert not at.exception
    shown = layers(at)
    assert shown.loc["blocks.3.q", "layer of B"] == "blocks.1.q"
    assert "B only" not in set(shown.get("in", []))


def test_rows_within_the_tolerance_are_left_out_and_it_is_said(deep_and_flat, opened):
    address = "compare?models=deep&models=flat&metric=alpha"
    at = opened(deep_and_flat, address)
    # alpha is 3.2 everywhere: what is left stands in one model only, or failed in one.
    assert "blocks.0.q" not in layers(at).index
    assert "more than rounding (1e-6)" in words(at)
    at.toggle(key="differing").set_value(False).run()
    assert "blocks.0.q" in layers(at).index


def test_every_choice_is_in_the_address_and_comes_back_from_it(deep_and_flat, opened):
    at = opened(
        deep_and_flat,
        "compare?kind=models&models=flat&models=deep&metric=k95&scale=full&compared=ratio"
        "&blocks=depth&layers=blocks.1.q&find=q&tolerance=0.05&every=1&differing=0",
    )
    assert not at.exception
    assert at.multiselect(key="models").value == ["flat", "deep"]
    for key, value in (("metric", "k95"), ("scale", "full"), ("compared", "ratio"),
                       ("blocks", "depth"), ("tolerance", "0.05")):  # fmt: skip
        assert at.selectbox(key=key).value == value
    assert "k95 · A / B" in titles(at)
    at.run()
    assert {key: at.query_params[key] for key in ("models", "compared", "blocks", "find")} == {
        "models": ["flat", "deep"], "compared": "ratio", "blocks": "depth", "find": "q",
    }  # fmt: skip


def test_a_norm_is_compared_by_its_ratio_unless_asked_otherwise(deep_and_flat, opened):
    at = opened(deep_and_flat, "compare?metric=norm")
    assert at.selectbox(key="compared").value == "ratio"
    at.selectbox(key="metric").set_value("k95").run()
    assert at.selectbox(key="compared").value == "difference"


def test_an_address_that_names_nothing_known_says_so_and_falls_back(deep_and_flat, opened):
    at = opened(deep_and_flat, "compare?models=gone&models=flat&models=deep&blocks=x")
    assert not at.exception
    assert at.multiselect(key="models").value == ["flat", "deep"]
    assert "No models gone here" in words(at)


def test_more_than_four_in_the_address_are_cut(fresh, opened):
    for seed, name in enumerate(("b", "c", "d", "e")):
        fake_client.add_profile(fresh.own, name, seed=seed)
    at = opened(fresh, "compare?" + "&".join(f"models={n}" for n in ("tiny", "b", "c", "d", "e")))
    assert not at.exception
    assert at.multiselect(key="models").value == ["tiny", "b", "c", "d"]
    assert [m.label for m in at.metric][3] == "D · d"
    assert len([c for c in at.get("plotly_chart") if "grid" in c.proto.id]) == 6


def test_a_hostile_name_is_shown_as_text(fresh, opened):
    fake_client.add_profile(fresh.own, EVIL, seed=3)
    at = opened(fresh, "compare")
    assert not at.exception
    for element in (*at.markdown, *at.caption, *at.subheader, *at.warning):
        assert "<script" not in element.value.replace("\\<", "")
    assert all("<script" not in m.label.replace("\\<", "") for m in at.metric)
    assert "<script" not in figure(at, "grid-1-0").to_json()
    assert f"B · {EVIL}" in facts(at).columns  # a cell of a table is text


def test_one_model_only_is_told_what_to_do(fresh, opened):
    at = opened(fresh, "compare")
    assert titles(at) == ["One model only"]
    assert "Add a second on **Models**" in words(at)


def test_an_empty_home_is_told_what_to_do(empty, opened):
    assert titles(opened(empty, "compare")) == ["No model yet"]


def test_one_chosen_is_asked_for_another(deep_and_flat, opened):
    at = opened(deep_and_flat, "compare?models=flat")
    assert "Choose at least two" in titles(at)


def test_a_model_without_spectra_offers_them_and_the_facts_still_stand(fresh, opened):
    layers = [("blocks.0.q", "q", 0, (8, 8))]
    for name in ("bare", "raw"):
        fresh.own.add_model(fake_client.model_row(name, 1), fake_client.tensor_table(layers))
    at = opened(fresh, "compare?models=tiny&models=bare&models=raw")
    assert not at.exception
    assert {"No spectra of bare yet", "No spectra of raw yet"} <= set(titles(at))
    assert facts(at).loc["matrices"].tolist() == ["9", "1", "1"]
    [first, _] = [b for b in at.button if b.label == "Compute the spectra"]
    first.click().run()
    assert fresh.calls == [("submit", "bare", "spectrum", {}, "*", "auto")]


def test_jobs_of_one_analysis_are_compared_row_by_row(two_jobs, opened):
    at = opened(two_jobs, "compare?kind=analyses&analysis=made_up")
    assert not at.exception
    assert facts(at).loc["share"].tolist() == ["0.250", "0.500"]  # the newest is A
    assert "word" not in facts(at).index
    shown = layers(at)
    assert shown.index.tolist() == ["blocks.0.k", "blocks.1.q"]  # what is equal is left out
    assert shown.loc["blocks.0.k", ["A Half", "B Half", f"A {MINUS} B Half"]].tolist() == [
        1.5,
        2.0,
        -0.5,
    ]
    assert shown.loc["blocks.1.q", "in"] == "A only"


def test_one_job_of_a_kind_is_told_what_to_do(empty, opened):
    fake_client.add_profile(empty.own, "tiny")
    at = opened(empty, "compare?kind=analyses")
    assert titles(at) == ["No two jobs of one analysis"]


def key(client, start):
    trials = client.store.trials("tiny")
    return trials.loc[trials["label"].str.startswith(start), "unit"].iloc[0]


def trials_address(client, *starts):
    return "compare?kind=trials&model=tiny" + "".join(f"&trials={key(client, s)}" for s in starts)


def test_trials_are_compared_by_what_was_asked_and_what_came_out(swept, opened):
    at = opened(swept, trials_address(swept, "svd, 80", "whitened_svd, 80"))
    assert not at.exception
    asked, outcome = (f.value.set_index("") for f in at.dataframe[:2])
    assert asked.index.tolist() == ["method"]
    assert asked.loc["method"].tolist() == ["svd", "whitened_svd"]
    assert outcome.loc["bytes"].tolist() == ["8.2 MB", "8.2 MB"]
    assert outcome.loc["lost from dense"].tolist() == ["+0.160", "+0.0600"]
    assert outcome.loc["95 % interval"].iloc[0] == "[+0.154, +0.166]"
    assert not at.warning


def test_trials_on_the_same_windows_have_a_paired_interval(swept, opened):
    at = opened(swept, trials_address(swept, "svd, 80", "whitened_svd, 80"))
    [card] = [m for m in at.metric if m.label == "A minus B"]
    rows = [swept.store.trials("tiny").set_index("unit").loc[key(swept, s)] for s in
            ("svd, 80", "whitened_svd, 80")]  # fmt: skip
    apart = paired.loss_difference(*(np.asarray(r["nats"]) for r in rows), rows[0]["counts"])
    assert apart.mean == pytest.approx(0.1, abs=1e-9)
    assert card.value == "+0.100"
    assert f"[+{apart.low:.4f}, " in card.delta.replace("\\", "")
    assert "does not hold 0" in card.delta


def test_trials_of_different_texts_are_warned_about_and_not_paired(swept, opened):
    job = fake_client.add_job(swept.own, "tiny", "trial", labels=["a"])
    other = fake_trials.row("svd", 0.7, 0.3, evaluated_on="another text",
                            calibrated_on="another calibration text")  # fmt: skip
    fake_trials.add_trial(swept, job, other, "svd, 70 %, greedy, two factor")
    at = opened(swept, trials_address(swept, "svd, 80", "svd, 70"))
    said = [warning.value for warning in at.warning]
    assert any("cannot be compared" in one for one in said)
    assert any("calibrated on different texts" in one for one in said)
    assert "A is not paired with B: they were measured on different texts" in words(at)
    assert "B: another text" in words(at)
    assert not [m for m in at.metric if m.label == "A minus B"]


def test_trials_of_different_measures_stand_side_by_side(swept, opened):
    job = fake_client.add_job(swept.own, "tiny", "trial", labels=["a"])
    other = fake_trials.row("svd", 0.7, 0.01, metric="spearman", perplexity=None)
    fake_trials.add_trial(swept, job, other, "svd, 70 %, greedy, two factor")
    at = opened(swept, trials_address(swept, "svd, 80", "svd, 70"))
    assert not at.exception
    [_, outcome] = [f.value.set_index("") for f in at.dataframe[:2]]
    assert outcome.loc["measured by"].tolist() == ["loss, nats per token", "Spearman's ρ"]
    assert outcome.loc["perplexity"].iloc[1] == "—"
    assert "people's scores" in words(at)


def link(at, label):
    [found] = [element.proto for element in at.get("page_link") if element.proto.label == label]
    return found


def test_the_rank_profile_and_a_trial_lead_here(swept, opened):
    fake_client.add_profile(swept.own, "other", seed=3)
    at = opened(swept, "rank_profile?model=tiny&with=other")
    found = link(at, "Open on Compare")
    assert found.query_string == "models=tiny&models=other"
    at = opened(swept, f"compression?model=tiny&trial={key(swept, 'svd, 80')}")
    found = link(at, "Compare with another trial")
    assert found.query_string == f"kind=trials&trials={key(swept, 'svd, 80')}"


def test_ranks_of_trials_stand_side_by_side(swept, opened):
    at = opened(swept, trials_address(swept, "svd, 90", "svd, 60"))
    shown = layers(at)
    ours, theirs = (
        {row["layer"]: row["rank"] for row in fake_trials.layers(kept, 0.1)} for kept in (0.9, 0.6)
    )
    row = shown.loc["blocks.1.down"]
    assert row["A Rank"] == ours["blocks.1.down"]
    assert row[f"A {MINUS} B Rank"] == ours["blocks.1.down"] - theirs["blocks.1.down"]
    assert "blocks.0.q" not in shown.index  # dense in both


def test_trials_come_back_from_the_address(swept, opened):
    address = trials_address(swept, "whitened_svd, 60", "svd, 90") + "&of_layer=kept"
    at = opened(swept, address)
    assert at.multiselect(key="trials").value == [
        key(swept, "whitened_svd, 60"),
        key(swept, "svd, 90"),
    ]
    assert at.selectbox(key="of_layer").value == "kept"
    at.run()
    assert at.query_params["trials"] == at.multiselect(key="trials").value


def test_a_model_without_trials_is_told_what_to_do(offered, opened):
    at = opened(offered, "compare?kind=trials&model=tiny")
    assert titles(at) == ["No two trials to compare"]
    assert "Launch a sweep on **Compression**" in words(at)
