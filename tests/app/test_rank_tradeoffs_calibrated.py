"""The trade-offs page once a model is calibrated, and what leads there and on to a trial."""

import json
import math

import numpy as np
import pytest

from app import quantities
from jobs.tradeoffs import Tradeoffs
from tests.app.seen import button, figure, titles, words
from tests.app.test_rank_tradeoffs import cards
from tests.jobs import planted_factors

PAGE = "rank_tradeoffs?model=tiny"
METHOD = "two_sided_svd"


def calibrate(client, method=METHOD, scale=2.0, without=()):
    """Plant the curves of every linear layer of the model `tiny`."""
    labels = client.store.labels("tiny")
    rows = []
    for row in labels[labels["kind"] == "linear"].to_dict("records"):
        stored = client.store.spectra([row["matrix_key"]])
        values = np.asarray(stored["s"].iloc[0])
        plain = planted_factors.tail(values)
        shape = (row["rows"], row["cols"])
        rows.append(
            planted_factors.row(
                row["layer"], shape, plain, method=method, scale=scale, without=without
            )
        )
    return planted_factors.add(client.own, "tiny", rows)


@pytest.fixture
def calibrated(fresh):
    calibrate(fresh)
    return fresh


def test_the_headline_is_the_predicted_change_of_loss(calibrated, opened):
    at = opened(calibrated, PAGE)
    assert not at.exception
    point = Tradeoffs.load(calibrated.store, "tiny", METHOD).at(
        0.6, "greedy", "two_factor", "expected"
    )
    first = at.metric[0]
    assert first.label == "Predicted Δloss"
    assert first.value == f"+{quantities.digits(point.nats)} nats"
    assert first.delta == f"perplexity × {math.exp(point.nats):.2f}"
    assert "Relative error" not in cards(at)
    assert at.selectbox(key="method").value == METHOD
    assert at.selectbox(key="objective").value == "expected"
    table = at.dataframe[-1].value
    np.testing.assert_array_equal(table["nats"], point.layers["nats"])
    assert "Predicted Δloss against size" in titles(at)
    assert "Weights only" not in words(at)
    assert not [b for b in at.button if b.label == "Calibrate"]


def test_above_three_tenths_of_a_nat_it_says_so_plainly(fresh, opened):
    calibrate(fresh, scale=30.0)
    at = opened(fresh, f"{PAGE}&keep=10")
    assert at.metric[0].delta == "not reliable above 0.3"
    assert "not reliable above 0.3 nats" in words(at)


def test_the_curve_is_predicted_and_the_map_can_show_what_each_layer_adds(calibrated, opened):
    at = opened(calibrated, f"{PAGE}&map=nats")
    drawn = figure(at, "errors")
    assert "nats per token" in drawn.layout.yaxis.title.text
    assert [trace.name for trace in drawn.data][:4] == [
        "greedy",
        "uniform",
        "equal energy",
        "WeLore",
    ]
    assert "Predicted Δloss by block and module" in titles(at)


def test_the_weights_alone_can_still_be_asked(calibrated, opened):
    at = opened(calibrated, f"{PAGE}&method=weights")
    point = Tradeoffs.load(calibrated.store, "tiny").at(0.6, "greedy", "two_factor", "relative")
    assert cards(at)["Relative error"] == f"{point.error:.3f}"
    assert at.selectbox(key="objective").options == [
        "energy, of each layer's own", "energy, of all layers' total"
    ]  # fmt: skip
    assert "Weights only: this says little about accuracy" in words(at)


def test_without_gradients_the_whitened_error_is_the_headline(fresh, opened):
    calibrate(fresh, without=("expected",))
    at = opened(fresh, PAGE)
    assert at.selectbox(key="objective").value == "whitened"
    assert at.metric[0].label == "Whitened error"


def test_without_a_calibration_one_is_offered(fresh, opened):
    fresh.analyses["activations"] = {"name": "activations"}
    at = opened(fresh, PAGE)
    assert "this says little about accuracy. Calibrate once" in words(at)
    assert not [s for s in at.selectbox if s.key == "method"]
    button(at, "Calibrate").click().run()
    assert fresh.calls == [("submit", "tiny", "activations", {}, "*", "auto")]
    assert not [b for b in at.button if b.label == "Calibrate"]  # a job is at work


def test_replaced_weights_are_told_and_left_out(calibrated, opened):
    rows = [planted_factors.row("blocks.0.q", (64, 64), np.linspace(9, 0, 65), method=METHOD)]
    planted_factors.add(calibrated.own, "tiny", rows)
    at = opened(calibrated, PAGE)
    assert "weights that were replaced since: 1" in words(at)
    assert "without a curve of two_sided_svd: " in words(at)
    assert at.dataframe[-1].value.set_index("layer")["reason"]["blocks.0.q"] == (
        "dense: no curve of two_sided_svd"
    )


def test_ranks_by_hand_make_the_point(calibrated, opened):
    at = opened(calibrated, f"{PAGE}&ranks=blocks.0.q=7, blocks.1.*=dense")
    table = at.dataframe[-1].value.set_index("layer")
    assert table["rank"]["blocks.0.q"] == 7
    assert table["reason"]["blocks.1.q"] == "dense: no rank is set"
    assert table["reason"].str.startswith("dense: no rank").sum() == int(
        cards(at)["Left dense"].partition(" ")[0]
    )
    at.text_input(key="ranks").set_value("blocks.9=1").run()
    assert "unknown layer 'blocks.9'" in words(at)


def test_a_point_is_carried_to_a_trial(calibrated, opened, monkeypatch):
    carried = watched(monkeypatch)
    at = opened(calibrated, f"{PAGE}&keep=40&allocation=uniform&form=row_interpolative")
    button(at, "Launch this as a trial").click().run()
    assert carried == [(0.4, "uniform", "row_interpolative", "expected", None)]


def test_these_very_ranks_go_along_when_asked_or_set_by_hand(calibrated, opened, monkeypatch):
    carried = watched(monkeypatch)
    at = opened(calibrated, f"{PAGE}&very=1")
    button(at, "Launch this as a trial").click().run()
    point = Tradeoffs.load(calibrated.store, "tiny", METHOD).at(
        0.6, "greedy", "two_factor", "expected"
    )
    at = opened(calibrated, f"{PAGE}&very=0&ranks=blocks.0.q=7")
    button(at, "Launch this as a trial").click().run()
    ranks = [call[-1] for call in carried]
    assert ranks == [point.ranks, {**point.ranks, "blocks.0.q": 7}]
    assert json.dumps(ranks)  # plain numbers


def watched(monkeypatch):
    from app.views.parts.tradeoffs import launching

    carried = []
    monkeypatch.setattr(launching, "carry", lambda *point: carried.append(point))
    monkeypatch.setattr(launching.st, "switch_page", lambda *_, **__: None)
    return carried


def test_ranks_can_come_from_a_stable_rank_job(calibrated, opened):
    from tests.jobs.test_tradeoffs_calibrated import followed

    followed(calibrated.own, [
        ("blocks.0.q", 100, (64, 64), 9, None), ("blocks.0.k", 100, (32, 64), 5, 4),
    ], model="tiny")  # fmt: skip
    at = opened(calibrated, f"{PAGE}&from=s")
    assert not at.exception
    table = at.dataframe[-1].value.set_index("layer")
    assert (table["rank"]["blocks.0.q"], table["rank"]["blocks.0.k"]) == (9, 4)
    assert cards(at)["Left dense"] == "6 of 8"
    assert at.slider(key="keep").disabled


def test_the_stable_rank_choice_is_not_there_without_a_job(calibrated, opened):
    at = opened(calibrated, PAGE)
    assert not [s for s in at.selectbox if s.key == "from"]


def test_a_new_calibration_changes_the_page(fresh, opened):
    at = opened(fresh, PAGE)
    assert at.metric[0].label == "Relative error"
    calibrate(fresh)
    at = opened(fresh, PAGE)
    assert at.metric[0].label == "Predicted Δloss"
