"""The panel of activations survives whatever rows a job has."""

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from tests.app import fake_client
from tests.app.seen import figure, words
from tests.app.test_activations_plots import ROWS, layer


def page(rows):
    from app.shown import Shown
    from app.views.parts import permalink
    from app.views.parts.panels import panel

    permalink.begin("analyses")
    panel("activations")(Shown(None, {"columns": []}, {"id": "a"}, rows, lambda cell: cell))
    permalink.finish()


def drawn(rows):
    at = AppTest.from_function(page, args=(rows,), default_timeout=20).run()
    assert not at.exception
    return at


def cards(at):
    return {card.label.replace("\\", ""): (card.value, card.delta) for card in at.metric}


def test_the_headline_numbers():
    found = cards(drawn(ROWS))
    assert found["KV cache at 95 %"] == ("20 B", "62 % of 32 B for a token")
    assert found["KV cache at 99 %"] == ("32 B", "100 % of 32 B for a token")
    assert found["Effective dimension of inputs"] == (
        "3", "50 % of their width, median of 13 layers"
    )  # fmt: skip
    assert found["Calibration tokens"] == ("60", "5 for each input, at least")


def test_four_figures_and_what_the_cache_is():
    at = drawn(ROWS)
    assert len(at.get("plotly_chart")) == 4
    assert "Predicted bytes if keys and values were kept in their leading directions; no model " \
        "here does that yet" in words(at)  # fmt: skip
    assert "Effective dimension of inputs by depth" in words(at)
    assert "Where W acts · blocks.0.q" in words(at)
    assert "before rotary position embedding" in words(at)


def test_choices_change_the_figures():
    at = drawn(ROWS)
    at.selectbox(key="activation_side").set_value("output").run()
    at.selectbox(key="activation_measure").set_value("99").run()
    at.toggle(key="activation_share").set_value(True).run()
    at.selectbox(key="activation_level").set_value("99").run()
    assert not at.exception
    assert "Directions for 99 % of outputs by depth" in words(at)
    assert "Directions of keys and values for 99 % of the energy" in words(at)
    assert figure(at, "activations-depth").layout.yaxis.title.text == "share of width"


def test_a_head_is_drawn_with_the_input_of_its_layer():
    at = drawn(ROWS)
    at.selectbox(key="activation_layer").set_value("blocks.1.k[head 1]").run()
    assert not at.exception
    assert "Spectra of activations · blocks.1.k[head 1]" in words(at)
    names = {trace.name for trace in figure(at, "activations-spectra").data}
    assert names == {"input", "output"}


def test_an_encoder_has_directions_and_no_cache():
    none = dict.fromkeys(("cache_bytes_95", "cache_bytes_99", "cache_bytes_full"))
    at = drawn(ROWS.assign(**none))
    assert cards(at)["KV cache at 99 %"][0] == "none"
    assert "keeps no cache" in words(at)
    assert "Predicted bytes" not in words(at)


def test_notes_are_said_once_with_their_layers():
    said = "5 tokens show at most 5 of 6 directions"
    rows = ROWS.assign(note=[said if m in ("q", "k") else None for m in ROWS["module"]])
    assert f"4 of 13 layers: {said} (blocks.0.q, blocks.0.k, blocks.1.q, blocks.1.k)." in words(
        drawn(rows)
    )


def test_layers_without_numbers_are_named_and_passed_over():
    bad = dict.fromkeys(ROWS.columns) | {
        "layer": "blocks.1.expert", "module": "up", "block": 1, "rows": 4, "cols": 4,
        "note": "no token reached it",
    }  # fmt: skip
    at = drawn(pd.DataFrame([*ROWS.to_dict("records"), bad]))
    assert "1 of 14 layers: no token reached it (blocks.1.expert)" in words(at)
    assert "blocks.1.expert" not in at.selectbox(key="activation_layer").options


def test_a_model_without_keys_and_values_has_no_cache():
    at = drawn(pd.DataFrame([layer(0, "fc1"), layer(None, "head")]))
    assert cards(at)["KV cache at 95 %"][0] == "none"
    assert len(at.get("plotly_chart")) == 3
    at = drawn(pd.DataFrame([layer(None, "head", acts=None)]))
    assert len(at.get("plotly_chart")) == 1


@pytest.mark.parametrize("columns", [[], ["label", "layer", "note"]])
def test_no_rows_yet_is_a_sentence(columns):
    assert "yet" in words(drawn(pd.DataFrame(columns=columns)))


DECLARED = {
    "name": "activations", "title": "Activations and KV-cache rank", "view": "activations",
    "unit": "stages", "version": 1, "summary": "Measure activations.", "doc": "", "params": [],
    "columns": [
        {"name": name, "type": kind, "optional": True, "default": None}
        for name, kind in {
            "layer": "str", "head": "int", "block": "int", "module": "str", "rows": "int",
            "cols": "int", "tokens": "int", "tokens_by_input": "float",
            "input_dimension": "float", "input_effective_rank": "float", "input_95": "int",
            "input_99": "int", "input_values": "floats", "output_dimension": "float",
            "output_effective_rank": "float", "output_95": "int", "output_99": "int",
            "output_values": "floats", "acts_at": "floats", "acts": "floats",
            "acts_95": "float", "acts_95_chance": "float", "cache_bytes_95": "int",
            "cache_bytes_99": "int", "cache_bytes_full": "int", "note": "str",
        }.items()
    ],
}  # fmt: skip


def test_the_page_draws_what_a_job_has_stored(fresh, opened):
    import pyarrow as pa

    fresh.analyses["activations"] = DECLARED
    fresh.own.declare(DECLARED)
    job = fake_client.add_job(fresh.own, "tiny", "activations", labels=["activations"])
    unit = {
        "key": "unit-a", "analysis": "activations", "version": 1, "params": "{}", "inputs": "[]",
        "state": "done", "message": "", "seconds": 0.2, "device": "cpu", "versions": "{}",
    }  # fmt: skip
    kinds = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(),
             "floats": pa.list_(pa.float64())}  # fmt: skip
    schema = pa.schema([(c["name"], kinds[c["type"]]) for c in DECLARED["columns"]])
    records = ROWS.astype(object).where(ROWS.notna(), None).to_dict("records")
    fresh.own.finish_unit(unit, pa.Table.from_pylist(records, schema=schema), None, None)
    fresh.own.link_unit(job, "activations", "unit-a", "done")
    fresh.own.set_job(job, "DONE")
    at = opened(fresh, "analyses?model=tiny&analysis=activations")
    assert not at.exception
    assert cards(at)["KV cache at 95 %"] == ("20 B", "62 % of 32 B for a token")
    assert "Where W acts · blocks.0.q" in words(at)
    table = at.dataframe[-1].value
    assert len(table) == len(ROWS)


def test_the_planted_columns_are_those_of_the_analysis():
    import dataclasses

    from analysis.activations import Row

    assert set(ROWS.columns) == {field.name for field in dataclasses.fields(Row)}
    assert {column["name"] for column in DECLARED["columns"]} == set(ROWS.columns)
