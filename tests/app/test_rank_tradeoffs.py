"""The trade-offs page over planted spectra: its numbers, its address, its states."""

import base64

import numpy as np
import pytest

from jobs.tradeoffs import Tradeoffs
from tests.app import fake_client
from tests.app.seen import button, figure, titles, words

PAGE = "rank_tradeoffs?model=tiny"


def cards(at):
    return {metric.label: metric.value for metric in at.metric}


def numbers(values):
    """Return what plotly keeps as bytes."""
    return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"]).tolist()


def bare(client, name, layers):
    """Register a model whose matrices nobody has decomposed."""
    client.own.add_model(fake_client.model_row(name, len(layers)), fake_client.tensor_table(layers))
    client.own.add_labels(name, fake_client.label_table(layers))


def test_the_page_shows_what_the_point_says(planted, opened):
    at = opened(planted, PAGE)
    assert not at.exception
    point = Tradeoffs.load(planted.store, "tiny").at(0.6, "greedy", "two_factor", "relative")
    assert cards(at)["Left dense"] == f"{point.left_dense} of 8"
    assert cards(at)["Relative error"] == f"{point.error:.3f}"
    table = at.dataframe[-1].value
    assert table["rank"].tolist() == point.layers["rank"].tolist()
    assert table["reason"].tolist() == point.layers["reason"].tolist()
    dot = figure(at, "errors").data[-1]
    assert (numbers(dot.x), numbers(dot.y)) == ([60], [pytest.approx(point.error)])
    assert "Weights only: this says little about accuracy" in words(at)
    assert "Kept rank by block and module" in titles(at)


def test_every_choice_is_in_the_address_and_comes_back_from_it(planted, opened):
    address = f"{PAGE}&keep=37&allocation=welore&form=row_interpolative&objective=total"
    at = opened(planted, address)
    assert not at.exception
    point = Tradeoffs.load(planted.store, "tiny").at(0.37, "welore", "row_interpolative", "total")
    assert cards(at)["Relative error"] == f"{point.error:.3f}"
    assert at.slider(key="keep").value == 37
    at.run()
    kept = {key: at.query_params[key] for key in ("keep", "allocation", "form", "objective")}
    assert kept == {
        "keep": "37", "allocation": "welore", "form": "row_interpolative", "objective": "total",
    }  # fmt: skip
    assert "prefer each layer's own energy" in words(at)


def test_a_move_of_the_slider_is_written_into_the_address(planted, opened):
    at = opened(planted, PAGE)
    before = cards(at)["Relative error"]
    at.slider(key="keep").set_value(90.0).run()
    assert at.query_params["keep"] == "90"
    assert float(cards(at)["Relative error"]) < float(before)
    at.slider(key="keep").set_value(100.0).run()
    assert cards(at)["Relative error"] == "0"
    assert cards(at)["Left dense"] == "8 of 8"


def test_an_address_that_names_nothing_known_falls_back(planted, opened):
    at = opened(planted, f"{PAGE}&keep=x&allocation=best&form=pifa&objective=loss")
    assert not at.exception
    assert at.slider(key="keep").value == 60
    assert at.selectbox(key="allocation").value == "greedy"


def test_all_allocations_are_compared_in_both_forms(planted, opened):
    at = opened(planted, PAGE)
    table = at.dataframe[0].value
    assert len(table) == 8
    assert set(table["stored as"]) == {"two factors", "row-interpolative"}
    assert (table["parameters"] <= 0.6 * table["parameters"].max() / 0.59).all()


def test_noise_is_grey_where_it_is_stored(planted, opened):
    at = opened(planted, PAGE)
    assert "noise" in [trace.name for trace in figure(at, "errors").data]


def test_layers_without_a_spectrum_are_named_and_counted(fresh, opened):
    layers = [("blocks.0.q", "q", 0, (64, 64)), ("blocks.0.k", "k", 0, (32, 64))]
    bare(fresh, "half", layers)
    job = fake_client.add_job(fresh.own, "half", "spectrum", labels=["blocks.0.q"])
    fake_client.add_unit(fresh.own, job, ("half", "blocks.0.q"), (64, 64), state="done", seed=1)
    fresh.own.set_job(job, "DONE")
    at = opened(fresh, "rank_tradeoffs?model=half&keep=40")
    assert not at.exception
    assert "without a stored spectrum: 1 of 2" in words(at)
    assert "blocks.0.k" in words(at)
    assert cards(at)["Left dense"] == "1 of 2"
    assert at.slider(key="keep").min == 34  # the missing third cannot be made smaller
    button(at, "Compute the missing spectra").click().run()
    assert fresh.calls == [("submit", "half", "spectrum", {}, "*", "auto")]
    assert not [b for b in at.button if "missing" in b.label]


def test_new_spectra_change_the_page(fresh, opened):
    layers = [("blocks.0.q", "q", 0, (64, 64)), ("blocks.0.k", "k", 0, (32, 64))]
    bare(fresh, "half", layers)
    for position, (layer, _, _, shape) in enumerate(layers):
        job = fake_client.add_job(fresh.own, "half", "spectrum", labels=[layer])
        fake_client.add_unit(fresh.own, job, ("half", layer), shape, state="done", seed=position)
        fresh.own.set_job(job, "DONE")
        at = opened(fresh, "rank_tradeoffs?model=half&keep=80")
        known = at.dataframe[-1].value["rank"].notna().sum()
        assert known == position + 1


def test_a_model_without_spectra_offers_to_compute_them(fresh, opened):
    bare(fresh, "bare", [("blocks.0.q", "q", 0, (8, 8))])
    at = opened(fresh, "rank_tradeoffs?model=bare")
    assert titles(at) == ["No spectra of bare yet"]
    at.button[0].click().run()
    assert fresh.calls == [("submit", "bare", "spectrum", {}, "*", "auto")]
    assert titles(at) == ["The first spectra are on their way"]


def test_where_no_job_can_run_none_is_offered(fresh, opened):
    fresh.can_run = False
    bare(fresh, "bare", [("blocks.0.q", "q", 0, (8, 8))])
    at = opened(fresh, "rank_tradeoffs?model=bare")
    assert titles(at) == ["No spectra of bare yet"]
    assert not at.button


def test_a_model_without_linear_layers_says_so(fresh, opened):
    bare(fresh, "tables", [("embed", "embed", None, (8, 8))])
    at = opened(fresh, "rank_tradeoffs?model=tables")
    assert titles(at) == ["Nothing to trade here"]
    assert "no linear layer to factor" in words(at)


def test_an_empty_home_says_what_to_do_next(empty, opened):
    at = opened(empty, "rank_tradeoffs")
    assert titles(at) == ["No model yet"]
