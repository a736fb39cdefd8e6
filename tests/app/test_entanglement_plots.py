"""The figures of both kinds of entanglement show the numbers of the rows they are given."""

import math

import numpy as np
import pandas as pd
import pytest

from app.plots import attention_entanglement, entanglement
from app.plots.plotly import render_plotly

ROW = {
    "label": "blocks.0.q",
    "entropy": [0.6, 1.0, 1.5, 1.1, 0.6],
    "maximum": [0.7, 1.4, 2.0, 1.4, 0.7],
    "rank_bound": [0.7, 1.4, 1.6, 1.4, 0.7],
    "page": [0.69, 1.38, 1.9, 1.38, 0.69],
    "isospectral_mean": [0.65, 1.0, 1.5, 1.02, 0.6],
    "isospectral_low": [0.62, 0.9, 1.5, 1.0, 0.5],
    "isospectral_high": [0.69, 1.1, 1.5, 1.05, 0.7],
    "permuted_low": [0.5] * 5,
    "permuted_high": [0.7, 1.2, 1.5, 1.2, 0.7],
    "row_column": 3,
    "valley_depth": 0.25,
    "deficit": 0.4,
    "beyond_spectrum": 0.02,
    "beyond_spectrum_deviations": 5.0,
    "beyond_order_deviations": -0.3,
}


def by_name(figure):
    return {series.name: series for series in figure.series}


def test_the_curve_stands_among_its_references_and_bands():
    figure = entanglement.over_cuts("blocks.0.q", ROW, "nats")
    found = by_name(figure)
    assert found["S"].x.tolist() == [1, 2, 3, 4, 5]
    assert found["S"].y.tolist() == ROW["entropy"]
    assert found["Page value"].y.tolist() == ROW["page"]
    assert found["maximum"].y.tolist() == ROW["maximum"]
    assert found["rank bound"].y.tolist() == ROW["rank_bound"]
    band = found["same σ, random directions"]
    assert (band.kind, band.y.tolist()) == ("band", ROW["isospectral_low"])
    assert band.upper.tolist() == ROW["isospectral_high"]
    assert [(mark.at, mark.text) for mark in figure.marks] == [(3.0, "row|column")]
    assert figure.y.title == "entropy S (nats)"
    render_plotly(figure)


def test_bits_and_shares_of_the_maximum():
    bits = by_name(entanglement.over_cuts("q", ROW, "bits"))
    assert bits["S"].y == pytest.approx(np.array(ROW["entropy"]) / math.log(2))
    assert bits["same σ, random directions"].upper == pytest.approx(
        np.array(ROW["isospectral_high"]) / math.log(2)
    )
    share = by_name(entanglement.over_cuts("q", ROW, "share"))
    assert share["S"].y == pytest.approx(np.array(ROW["entropy"]) / ROW["maximum"])
    assert "maximum" not in share


def test_a_rank_bound_that_is_the_maximum_is_not_drawn_twice():
    full = ROW | {"rank_bound": ROW["maximum"]}
    assert "rank bound" not in by_name(entanglement.over_cuts("q", full, "nats"))


@pytest.mark.parametrize("null", [None, math.nan])
def test_without_draws_there_are_no_bands(null):
    names = ("isospectral_low", "isospectral_high", "permuted_low", "permuted_high")
    row = ROW | dict.fromkeys(names, null)
    figure = entanglement.over_cuts("q", row, "nats")
    assert not [series for series in figure.series if series.kind == "band"]
    assert "No controls were drawn" in figure.caption


def test_the_words_compare_the_valley_with_that_of_noise_and_count_what_leaves_the_band():
    said = entanglement.reading(ROW)
    assert said.startswith("S dips by 0.25 nats at row|column; noise of this shape does not dip.")
    assert "2 of 4 other cuts leave the band" in said  # 0.6 < 0.62 and 1.1 > 1.05
    inside = ROW | {"entropy": [0.65, 1.0, 1.5, 1.02, 0.6]}
    assert "All 4 other cuts lie within the band" in entanglement.reading(inside)
    valley = ROW | {"page": [0.69, 2.2, 1.9, 1.38, 0.69]}
    assert "noise of this shape dips by 0.30 nats" in entanglement.reading(valley)


def test_the_departure_from_the_spectrum_has_both_bands_about_the_same_mean():
    figure = entanglement.beyond("q", ROW, "nats")
    found = by_name(figure)
    assert found["S"].y == pytest.approx([-0.05, 0, 0, 0.08, 0])
    band = found["rows and columns permuted"]
    assert band.y == pytest.approx([-0.15, -0.5, -1.0, -0.52, -0.1])
    assert band.upper == pytest.approx([0.05, 0.2, 0, 0.18, 0.1])
    bits = by_name(entanglement.beyond("q", ROW, "bits"))
    assert bits["S"].y == pytest.approx(found["S"].y / math.log(2))
    names = ("isospectral_low", "isospectral_high")
    assert entanglement.beyond("q", ROW | dict.fromkeys(names, None), "nats") is None
    render_plotly(figure)


def test_a_cut_that_was_left_out_is_a_gap_and_is_not_counted():
    gap = ROW | {"entropy": [math.nan, 1.0, 1.5, 1.1, 0.6], "page": [9.9, 1.38, 1.9, 1.38, 0.69]}
    figure = entanglement.over_cuts("q", gap, "nats")
    assert math.isnan(by_name(figure)["S"].y[0])
    assert "noise of this shape does not dip" in figure.caption  # 9.9 is at the cut left out
    assert "1 of 3 other cuts" in figure.caption


def test_one_cut_alone():
    names = [n for n, v in ROW.items() if isinstance(v, list)]
    alone = ROW | {name: ROW[name][2:3] for name in names} | {"row_column": 1}
    assert entanglement.reading(alone) == "Row|column is the only cut that was made."
    assert by_name(entanglement.over_cuts("q", alone, "nats"))["S"].x.tolist() == [1]


LAYERS = pd.DataFrame([
    ROW,
    ROW | {"label": "blocks.0.k", "deficit": 0.8, "beyond_spectrum": None},
    ROW | {"label": "blocks.1.q", "deficit": math.nan},
])  # fmt: skip


def test_bars_by_layer_in_the_models_order():
    figure = entanglement.by_layer(LAYERS, "deficit", "nats")
    [bars] = figure.series
    assert figure.x.names == ("blocks.0.q", "blocks.0.k")
    assert bars.y.tolist() == [0.4, 0.8]
    assert "1 without a value" in figure.caption
    [bits] = entanglement.by_layer(LAYERS, "deficit", "bits").series
    assert bits.y == pytest.approx(np.array([0.4, 0.8]) / math.log(2))
    deviations = entanglement.by_layer(LAYERS, "beyond_spectrum_deviations", "bits")
    assert deviations.series[0].y.tolist() == [5.0] * 3
    assert deviations.y.title == "standard deviations"


def test_at_most_256_layers_are_drawn():
    many = pd.concat([LAYERS.head(1)] * 300, ignore_index=True)
    figure = entanglement.by_layer(many, "deficit", "nats")
    assert len(figure.series[0].x) == 256
    assert "44 without a value or beyond the first 256" in figure.caption


def attention_rows(layers=("blocks.0", "blocks.1"), heads=(None, 0, 1), lengths=(16, 32, 64)):
    return pd.DataFrame([
        {
            "layer": layer,
            "head": head,
            "length": length,
            "entropy": 1.0 + i + (head or 0),
            "entropy_low": 0.9 + i,
            "entropy_high": 1.2 + i,
            "slope": 0.5 - (head or 0),
            "slope_low": 0.4,
            "slope_high": 0.6,
            "maximum": math.log(length),
            "uniform": 0.1 * i,
            "estimate": 0.2 * i,
        }
        for layer in layers
        for head in heads
        for i, length in enumerate(lengths)
    ])  # fmt: skip


def test_the_mean_over_heads_against_the_octaves():
    figure = attention_entanglement.against_length(
        attention_rows(), "blocks.1", [], ("maximum", "estimate"), "nats"
    )
    found = by_name(figure)
    mean = found["mean over heads"]
    assert figure.x.names == ("16", "32", "64")
    assert mean.x.tolist() == [0, 1, 2]
    assert mean.y.tolist() == [1.0, 2.0, 3.0]
    assert (mean.lower.tolist(), mean.upper.tolist()) == ([0.9, 1.9, 2.9], [1.2, 2.2, 3.2])
    assert found["Maximum ln T"].y == pytest.approx(np.log([16, 32, 64]))
    assert found["Estimate for Gaussian logits"].y == pytest.approx([0, 0.2, 0.4])
    assert len(found) == 3
    render_plotly(figure)


def test_chosen_heads_stand_beside_each_other_in_bits():
    figure = attention_entanglement.against_length(attention_rows(), "blocks.0", [0, 1], (), "bits")
    first, second = figure.series
    assert (first.name, second.name) == ("head 0", "head 1")
    assert second.y == pytest.approx(np.array([2.0, 3.0, 4.0]) / math.log(2))
    assert 0 < (second.x - first.x).max() < 0.2
    assert (first.x + second.x) / 2 == pytest.approx([0, 1, 2])


def test_points_without_intervals_have_no_whiskers():
    rows = attention_rows().assign(entropy_low=None, entropy_high=None)
    [series] = attention_entanglement.against_length(rows, "blocks.0", [], (), "nats").series
    assert series.lower is series.upper is None


def test_the_map_of_slopes():
    figure = attention_entanglement.slopes(attention_rows(), "nats")
    assert figure.x.names == ("0", "1")
    assert figure.y.names == ("blocks.0", "blocks.1")
    assert figure.cells.colour == pytest.approx(np.array([[0.5, -0.5], [0.5, -0.5]]))
    assert figure.cells.names.tolist() == [["blocks.0"] * 2, ["blocks.1"] * 2]
    assert figure.cells.hover[0, 1] == (
        "<b>blocks.0, head 1</b><br>-0.500 nats per octave<br>95 %: 0.400 to 0.600"
    )
    assert (figure.cells.scale.low, figure.cells.scale.high) == (-0.5, 0.5)
    assert "0.69" in figure.caption
    bits = attention_entanglement.slopes(attention_rows(), "bits")
    assert bits.cells.colour == pytest.approx(figure.cells.colour / math.log(2))
    render_plotly(figure)


def test_one_length_has_no_slopes_to_map():
    rows = attention_rows(lengths=(16,)).assign(slope=None, slope_low=None, slope_high=None)
    assert attention_entanglement.slopes(rows, "nats") is None
    table = attention_entanglement.of_head(rows, "blocks.0", None)
    assert math.isnan(attention_entanglement.slope_of(table, "uniform"))


def test_the_slope_of_a_reference_is_fitted():
    table = attention_entanglement.of_head(attention_rows(), "blocks.0", None)
    assert attention_entanglement.slope_of(table, "maximum") == pytest.approx(math.log(2))
    assert attention_entanglement.slope_of(table, "uniform") == pytest.approx(0.1)
