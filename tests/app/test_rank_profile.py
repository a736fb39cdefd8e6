"""The rank profile over planted results: what it shows, and that its address says all of it."""

import pandas as pd
import pytest

from app.plots.metric import Metric
from app.views.parts import notes, selection
from jobs.errors import JobError, Unreachable
from tests.app.seen import button, titles, words


def test_the_grid_stands_beside_the_decay_of_its_first_layer(planted, opened):
    at = opened(planted, "rank_profile?model=tiny")
    assert not at.exception
    assert titles(at)[0].endswith("by block and module")
    assert "Singular-value decay · blocks.0.q" in titles(at)[1]
    assert at.selectbox(key="scale").value == "noise"
    assert {m.label for m in at.metric} >= {"Stable rank", "Effective rank", "Break-even rank"}


def test_every_choice_is_in_the_address_and_comes_back_from_it(planted, opened):
    at = opened(
        planted,
        "rank_profile?model=other&metric=k95&scale=absolute&layers=blocks.0.v&layers=blocks.1.q"
        "&overlay=1&log_index=1&find=blocks&modules=q&columns=k95&tau=0.9",
    )
    assert not at.exception
    assert at.selectbox(key="model").value == "other"
    assert at.selectbox(key="metric").value == "k95"
    assert at.selectbox(key="scale").value == "absolute"
    assert at.multiselect(key="layers").value == ["blocks.0.v", "blocks.1.q"]
    assert at.toggle(key="log_index").value is True
    assert "2 layers" in titles(at)[1]
    assert "2 of 9 layers" in words(at)
    at.run()
    kept = {key: at.query_params[key] for key in ("model", "metric", "scale", "layers", "find")}
    assert kept == {
        "model": "other", "metric": "k95", "scale": "absolute",
        "layers": ["blocks.0.v", "blocks.1.q"], "find": "blocks",
    }  # fmt: skip


def test_a_choice_is_written_into_the_address(planted, opened):
    at = opened(planted, "rank_profile?model=tiny")
    at.selectbox(key="scale").set_value("absolute").run()
    at.toggle(key="log_value").set_value(False).run()
    assert at.query_params["scale"] == "absolute"
    assert at.query_params["log_value"] == "0"
    at.selectbox(key="scale").set_value("noise").run()
    assert "scale" not in at.query_params


def test_an_address_that_names_nothing_known_falls_back(planted, opened):
    at = opened(planted, "rank_profile?model=gone&metric=gone&scale=gone&layers=gone&tau=x")
    assert not at.exception
    assert at.selectbox(key="model").value == "tiny"
    assert at.multiselect(key="layers").value == []


def test_only_the_scales_of_a_metric_are_offered(planted, opened):
    at = opened(planted, "rank_profile?model=tiny&metric=stable_rank&scale=noise")
    assert not at.exception
    assert at.selectbox(key="scale").options == ["of full rank", "absolute"]
    assert at.selectbox(key="scale").value == "full"


def test_a_comparison_with_a_model_without_spectra_offers_to_compute_them(fresh, opened):
    from tests.app import fake_client

    layers = [("blocks.0.q", "q", 0, (8, 8))]
    fresh.own.add_model(fake_client.model_row("bare", 1), fake_client.tensor_table(layers))
    at = opened(fresh, "rank_profile?model=tiny&with=bare&mode=difference")
    assert not at.exception
    assert titles(at)[0] == "No spectra of bare yet"
    assert titles(at)[1].endswith("by block and module")
    button(at, "Compute the spectra").click().run()
    assert fresh.calls[0][:3] == ("submit", "bare", "spectrum")


def test_a_comparison_says_of_which_model_the_numbers_are(planted, opened):
    at = opened(planted, "rank_profile?model=tiny&with=other&mode=difference")
    assert "tiny minus other, of ratios to noise" in words(at)
    assert "are of tiny only" in words(at)
    assert "All layers of tiny" in titles(at)


def test_heads_are_a_view_of_their_own(planted, opened, monkeypatch):
    real = type(planted.store).__getattr__

    def with_heads(self, name):
        def profile(model):
            table = real(self, name)(model)
            heads = table[table["module"] == "q"].assign(view="head 0")
            heads["layer"] = heads["layer"] + "[head 0]"
            return pd.concat([table, heads], ignore_index=True)

        return profile if name == "profile" else real(self, name)

    monkeypatch.setattr(type(planted.store), "__getattr__", with_heads)
    at = opened(planted, "rank_profile?model=tiny")
    assert "9 of 9 layers" in words(at)
    at.selectbox(key="views").set_value("heads").run()
    assert not at.exception
    assert "2 of 2 layers" in words(at)
    assert at.query_params["views"] == "heads"
    assert titles(at)[1].startswith("Singular-value decay · blocks.0.q[head 0]")


def test_no_ticked_row_opens_no_layer(monkeypatch):
    state = {selection.LAYERS: ["blocks.0.q"]}
    monkeypatch.setattr(selection.st, "session_state", state)
    selection.opened_in_table([])
    assert state[selection.LAYERS] == []


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("LRC", "25 % rank cut = 127 % size"),
        ("N-LRC", "kept dense; factoring would take 127 %"),
        ("excluded", "takes no part"),
    ],
)
def test_the_card_of_welore_says_what_becomes_of_the_layer(kind, said):
    row = {
        "rows": 10, "cols": 10, "welore_classification": kind, "welore_reduction": 0.25,
        "welore_nominal_parameters": 127,
    }  # fmt: skip
    [card] = [card for card in notes.cards(row, 10) if card]
    assert card[:3] == ("WeLore", kind, said)


def test_a_metric_is_explained_by_its_words_its_formula_and_its_paper():
    said = notes.about(Metric("stable_rank", "Stable rank", "what it is", "rank"))
    assert "what it is" in said
    assert "sigma_1^2" in said
    assert "math/0503442" in said
    assert "2407.11239" in notes.about(Metric("welore_reduction", "WeLore cut", "", "ratio"))


def test_a_failed_and_an_all_zero_layer_are_shown_with_their_reasons(planted, opened):
    at = opened(planted, "rank_profile?model=tiny&layers=blocks.1.k")
    assert "blocks.1.k holds NaN at row 3" in words(at)
    at = opened(planted, "rank_profile?model=tiny&layers=blocks.1.down")
    assert "blocks.1.down is all zero" in " ".join(titles(at))
    table = at.dataframe[0].value
    assert set(table["state"]) == {
        "done",
        "blocks.1.k holds NaN at row 3",
        "blocks.1.down is all zero",
    }


def test_skipped_tensors_are_listed_with_the_reason(planted, opened):
    at = opened(planted, "rank_profile?model=tiny")
    assert at.expander[0].label.startswith("1 tensor")
    assert at.dataframe[-1].value["reason"].tolist() == ["one-dimensional (a norm or a bias)"]


@pytest.mark.parametrize(("mode", "maps"), [("side", 4), ("difference", 2)])
def test_two_models_are_compared(planted, opened, mode, maps):
    at = opened(planted, f"rank_profile?model=tiny&with=other&mode={mode}")
    assert not at.exception
    assert len([c for c in at.get("plotly_chart") if "grid" in c.proto.id]) == maps
    assert "2 layers" in " ".join(titles(at))


def test_a_search_that_finds_nothing_says_what_to_do(planted, opened):
    at = opened(planted, "rank_profile?model=tiny&find=nothing")
    assert "clear the search" in words(at)


def test_an_empty_home_says_what_to_do_next(empty, opened):
    at = opened(empty, "rank_profile")
    assert titles(at) == ["No model yet"]
    assert "Models" in words(at)


def test_a_model_without_spectra_offers_to_compute_them(fresh, opened):
    from tests.app import fake_client

    layers = [("blocks.0.q", "q", 0, (8, 8))]
    fresh.own.add_model(fake_client.model_row("bare", 1), fake_client.tensor_table(layers))
    at = opened(fresh, "rank_profile?model=bare")
    assert titles(at) == ["No spectra of bare yet"]
    at.button[0].click().run()
    assert fresh.calls == [("submit", "bare", "spectrum", {}, "*", "auto")]
    assert titles(at) == ["The first spectra are on their way"]


def test_a_store_that_restarts_is_a_banner_that_tries_again(planted, opened, monkeypatch):
    def away(*_args):
        raise Unreachable("The store restarts; this takes a few seconds.")

    with monkeypatch.context() as patch:
        patch.setattr(type(planted), "cluster", away)
        at = opened(planted, "rank_profile?model=tiny")
        assert "The store restarts" in at.warning[0].value
        assert not at.exception
    at.button[0].click().run()
    assert titles(at)


@pytest.mark.parametrize("error", [JobError("no model is named 'x'"), RuntimeError("secret")])
def test_an_error_is_a_sentence_and_never_a_traceback(planted, opened, monkeypatch, error):
    def fail(*_args):
        raise error

    monkeypatch.setattr(type(planted), "catalog", fail)
    at = opened(planted, "rank_profile?model=tiny")
    assert not at.exception
    said = at.error[0].value.replace("\\", "")
    assert said.startswith("no model" if isinstance(error, JobError) else "This page could not")
    assert "secret" not in said
