"""Both views of entanglement survive what a job can have found so far."""

import math

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from tests.app.seen import words
from tests.app.test_entanglement_plots import ROW, attention_rows

CUT = {
    **ROW, "rows": 8, "cols": 8, "numerical_rank": 8, "basis": "all σ",
    "site_dims": "2·2·2 | 2·2·2", "site_order": "ascending primes", "draws": 30,
    "remark": None, "deficit_factor": 1.49,
    "entropy_row_column": 1.5, "permuted_mean": [0.6] * 5,
}  # fmt: skip
BANDS = [f"{name}_{end}" for name in ("isospectral", "permuted") for end in ("mean", "low", "high")]
SPREADS = ["beyond_spectrum", "beyond_spectrum_deviations", "beyond_order_deviations"]


def page(view, rows):
    from app.shown import Shown
    from app.views.parts import permalink
    from app.views.parts.panels import panel

    permalink.begin("analyses")
    panel(view)(Shown(None, {"columns": []}, {"id": "a"}, rows, lambda cell: cell))
    permalink.finish()


def drawn(view, rows):
    at = AppTest.from_function(page, args=(view, rows), default_timeout=20).run()
    assert not at.exception
    return at


def test_the_headline_numbers_of_the_chosen_layer():
    rows = pd.DataFrame([CUT, CUT | {"label": "a_b*c[head 0]", "deficit": 0.9}])
    at = drawn("entanglement", rows)
    cards = {card.label.replace("\\", ""): card.value for card in at.metric}
    assert cards["Deficit at row|column"] == "0.400 nats"
    assert cards["Structure beyond the spectrum"] == "0.0200 nats"
    at.selectbox(key="cut_layer").set_value("a_b*c[head 0]").run()
    at.selectbox(key="entropy_unit").set_value("bits").run()
    assert not at.exception
    [deficit] = [card for card in at.metric if "Deficit" in card.label]
    assert deficit.value == f"{0.9 / math.log(2):.2f} bits"
    assert "Entropy over the cuts · a_b*c[head 0]" in words(at)
    assert "Only the row|column cut does not depend on the basis" in words(at)


def test_a_row_without_draws_says_that_nothing_is_known_beyond_the_spectrum():
    row = CUT | dict.fromkeys(BANDS + SPREADS, None) | {"draws": 0, "remark": "0 of 30 draws"}
    at = drawn("entanglement", pd.DataFrame([row]))
    assert [card.value for card in at.metric][1] == "not measured"
    row |= {"remark": "0 of 30 draws of each control (raise most_work for them)"}
    at = drawn("entanglement", pd.DataFrame([row]))
    assert at.metric[1].delta == "raise most_work to measure it"
    assert "No controls were drawn" in words(at)
    assert "0 of 30 draws" in words(at)


@pytest.mark.parametrize("view", ["entanglement", "attention_entanglement"])
@pytest.mark.parametrize("columns", [[], ["label", "layer", "entropy"]])
def test_no_rows_yet_is_a_sentence(view, columns):
    at = drawn(view, pd.DataFrame(columns=columns))
    assert "yet" in words(at)


def test_failed_layers_are_passed_over():
    rows = pd.DataFrame([dict.fromkeys(CUT, None) | {"label": "bad"}, CUT])
    at = drawn("entanglement", rows)
    assert at.selectbox(key="cut_layer").options == ["blocks.0.q"]


def test_attention_of_a_block_and_of_its_heads():
    rows = attention_rows().assign(
        uniform=[0.0, 0.25, 0.5] * 6, octave=0.3, octave_low=0.2, octave_high=0.4, windows=3,
        text="a.txt", mask="causal",
        site_order="row|column",
    )  # fmt: skip
    at = drawn("attention_entanglement", rows)
    assert [card.value for card in at.metric][:3] == ["0.500", "0.300", "0.250"]
    assert "95 %: 0.400 to 0.600" in {card.delta for card in at.metric}
    at.selectbox(key="attention_layer").set_value("blocks.1").run()
    at.multiselect(key="attention_heads").set_value(["1"]).run()
    assert not at.exception
    assert "3 windows of a.txt; mask: causal" in words(at)


def test_one_length_and_one_window_have_no_slope_and_no_interval():
    nothing = dict.fromkeys(
        ("slope", "slope_low", "slope_high", "octave", "octave_low", "octave_high", "entropy_low",
         "entropy_high"), None,
    )  # fmt: skip
    rows = attention_rows(lengths=(16,)).assign(
        **nothing, windows=1, text="a", mask="none", site_order="row|column"
    )
    at = drawn("attention_entanglement", rows)
    assert [card.value for card in at.metric][:3] == ["not measured"] * 3
    assert "set longest to twice shortest" in words(at)
