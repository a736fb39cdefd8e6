"""The figures of trials by their numbers: front, sizes, measures, predictions, layers."""

import itertools

import numpy as np
import pandas as pd
import pytest

from app.plots import (
    accuracy_against_size,
    layer_ranks,
    predicted_against_measured,
    recovery,
    trial_words,
)
from app.plots.figure import Axis
from app.plots.plotly import render_plotly
from app.plots.plotly_axes import axis_settings
from tests.app import fake_trials


def frame(*rows):
    return pd.DataFrame([
        {"unit": f"k{i}", "trial": f"1.{i}", "label": f"trial {i}"} | row
        for i, row in enumerate(rows)
    ])  # fmt: skip


def sweep():
    return frame(*(fake_trials.row(m, k, lost) for (m, k), lost in fake_trials.LOST.items()))


def series(figure, name):
    [found] = [s for s in figure.series if s.name == name]
    return found


def test_one_line_for_each_method_and_the_dense_model_at_its_own_size():
    figure = accuracy_against_size.draw(sweep(), "delta", "bytes")
    svd = series(figure, "svd")
    assert svd.kind == "joined"
    np.testing.assert_allclose(svd.x, [9.8 * (0.9 + 4 * k) / 4.9 for k in (0.6, 0.8, 0.9)])
    assert svd.y.tolist() == [0.62, 0.16, 0.05]
    np.testing.assert_allclose(svd.upper - svd.y, 0.006)
    assert svd.names == ("k2", "k1", "k0")
    dense = series(figure, "dense")
    assert (dense.x.tolist(), dense.y.tolist()) == ([9.8], [0.0])
    assert figure.x.title == "bytes on disk (MB)"
    assert [(mark.axis, mark.at) for mark in figure.marks] == [("y", 0.0)]
    front = series(figure, "Pareto front")
    assert front.y.tolist() == [0.31, 0.06, 0.02, 0.0]
    assert "16 384 tokens" in figure.caption
    assert fake_trials.EVALUATED in figure.caption
    drawn = {trace.name: trace for trace in render_plotly(figure).data}
    assert [list(name) for name in drawn["svd"].customdata] == [["k2"], ["k1"], ["k0"]]
    assert drawn["svd"].unselected.marker.opacity == 1
    # The front runs through the points, and leaves the pointer to them.
    assert drawn["Pareto front"].hoverinfo == "skip"


def test_dominated_trials_are_left_out_on_demand_and_counted():
    figure = accuracy_against_size.draw(sweep(), "delta", "bytes", dominated=False)
    assert [s.name for s in figure.series] == ["Pareto front", "whitened_svd", "dense"]
    assert "3 that others beat are not drawn" in figure.caption


def test_a_trial_no_worse_than_dense_within_its_interval_takes_its_place_on_the_front():
    close = frame(fake_trials.row("svd", 0.9, 0.001), fake_trials.row("svd", 0.5, 0.4))
    front = series(accuracy_against_size.draw(close, "delta", "bytes"), "Pareto front")
    assert front.y.tolist() == [0.4, 0.001]


@pytest.mark.parametrize(
    ("size", "last", "unit"),
    [("model", 4.9, "parameters, whole model (M)"), ("linear", 100.0, "linear layers (%)")],
)
def test_other_sizes(size, last, unit):
    figure = accuracy_against_size.draw(sweep(), "delta", size)
    assert series(figure, "dense").x.tolist() == [last]
    assert figure.x.title.endswith(unit)


def test_perplexity_is_log_with_the_intervals_of_the_loss():
    figure = accuracy_against_size.draw(sweep(), "perplexity", "bytes")
    line = series(figure, "whitened_svd")
    assert figure.y.log
    np.testing.assert_allclose(line.y, np.exp(1.8 + np.array([0.31, 0.06, 0.02])))
    np.testing.assert_allclose(line.upper / line.y, np.exp(0.006))
    assert figure.marks[0].text == "dense 6.05"


def test_accuracy_is_better_when_higher():
    front = series(accuracy_against_size.draw(sweep(), "accuracy", "bytes"), "Pareto front")
    assert front.y.tolist() == pytest.approx([0.538, 0.588, 0.596, 0.6])


def test_sentence_pairs_are_drawn_by_spearman():
    same = {"metric": "spearman", "dense_score": 0.82, "perplexity": None, "accuracy": None}
    trials = frame(
        fake_trials.row("svd", 0.9, 0.02, score=0.80, **same),
        fake_trials.row("svd", 0.6, 0.2, score=0.62, **same),
    )
    assert accuracy_against_size.measures(trials) == ["delta", "spearman"]
    figure = accuracy_against_size.draw(trials, "spearman", "bytes")
    line = series(figure, "svd")
    assert line.y.tolist() == [0.62, 0.80]
    np.testing.assert_allclose(line.lower, [0.614, 0.794])
    assert series(figure, "Pareto front").y.tolist() == [0.62, 0.80, 0.82]
    assert accuracy_against_size.draw(trials, "delta", "bytes").y.title.startswith("Spearman lost")


def test_lines_are_told_apart_by_what_a_methods_trials_vary():
    rows = [
        fake_trials.row("svd", 0.9, 0.1),
        fake_trials.row("svd", 0.9, 0.1, allocation="uniform"),
        fake_trials.row("rtn", 0.5, 0.1, allocation="", form=""),
        fake_trials.row("rtn", 0.5, 0.1, allocation="", form="", compensation="eora, rank 8"),
    ]
    assert trial_words.line_names(rows) == [
        "svd, greedy",
        "svd, uniform",
        "rtn",
        "rtn, + eora, rank 8",
    ]


def test_predictions_are_counted_within_their_factor_up_to_what_is_reliable():
    trials = frame(
        fake_trials.row("svd", 0.9, 0.10, predicted=0.08),
        fake_trials.row("svd", 0.8, 0.20, predicted=0.10),
        fake_trials.row("svd", 0.6, 2.0, predicted=1.0),
        fake_trials.row("svd", 1.0, 0.0, predicted=0.0),
        fake_trials.row("rtn", 0.5, 0.1, predicted=None),
    )
    assert predicted_against_measured.within(trials) == (1, 2)
    figure = predicted_against_measured.draw(trials)
    assert "1 of 2 predictions up to 0.3" in figure.caption
    assert "1 without a loss above zero" in figure.caption
    points = series(figure, "svd")
    assert points.x.tolist() == [0.08, 0.10, 1.0]
    band = series(figure, "within 1.5×")
    np.testing.assert_allclose(band.upper / band.y, 2.25)
    assert series(figure, "not reliable").x[0] == 0.3
    assert (figure.x.low, figure.x.high) == (0.01, 10.0)
    assert (points.lower >= figure.y.low).all()
    render_plotly(figure, dark=True)


def test_without_a_prediction_there_is_no_such_figure():
    assert (
        predicted_against_measured.draw(frame(fake_trials.row("svd", 0.9, 0.1, predicted=None)))
        is None
    )


def test_a_layer_that_stays_dense_says_so_and_counts_as_all_of_its_rank():
    layers = layer_ranks.read(fake_trials.json.dumps(fake_trials.layers(0.5, 0.1)))
    [figure] = layer_ranks.maps(layers, "rank")
    row, column = figure.y.names.index("q"), figure.x.names.index("0")
    assert figure.cells.text[row, column] == "dense"
    assert figure.cells.colour[row, column] == 1.0
    assert "left dense" in figure.cells.hover[row, column]
    assert figure.cells.colour[row, 1] == 16 / 64  # half of mn/(m + n)
    assert "rank 16 of 64" in figure.cells.hover[row, 1]
    [figure] = layer_ranks.maps(layers, "kept")
    assert figure.cells.colour[row, 1] == 0.5
    assert figure.cells.text[row, 1] == "50 %"


def test_a_form_without_ranks_is_mapped_by_its_size():
    rows = [row | {"rank": None, "words": "4 bit"} for row in fake_trials.layers(0.5, 0.1)]
    layers = layer_ranks.read(fake_trials.json.dumps(rows))
    assert layer_ranks.ranked(layers) == ["kept"]
    [figure] = layer_ranks.maps(layers, "kept")
    assert "4 bit" in figure.cells.hover[0, 1]


@pytest.mark.parametrize("lacking", list(itertools.product([False, True], repeat=2)))
def test_errors_are_of_outputs_where_they_were_calibrated(lacking):
    layers = layer_ranks.read(fake_trials.json.dumps(fake_trials.layers(0.5, 0.1)))
    gone = [name for name, off in zip(("whitened", "heldout"), lacking, strict=True) if off]
    figure = layer_ranks.errors(layers.assign(**dict.fromkeys(gone)))
    names = {"whitened": "calibration", "heldout": "held out"}
    there = [words for name, words in names.items() if name not in gone]
    assert [s.name for s in figure.series] == (there or ["weights"])
    assert ("says little about accuracy" in figure.caption) == (len(gone) == 2)


def test_bars_of_many_layers_are_named_by_block_and_say_which_they_are():
    rows = [row | {"block": at // 7} for at, row in enumerate(fake_trials.layers(0.5, 0.1) * 9)]
    layers = layer_ranks.read(fake_trials.json.dumps(rows[:18]))
    figure = layer_ranks.errors(layers)
    assert figure.x.ticks == ((0.0, "block 0"), (7.0, "block 1"), (14.0, "block 2"))
    assert list(render_plotly(figure).layout.xaxis.ticktext) == ["block 0", "block 1", "block 2"]
    assert figure.series[0].hover[0].startswith(f"{rows[0]['layer']}: ")
    assert layer_ranks.errors(layers.head(16)).x.ticks == ()


def test_the_loss_predicted_of_layers_adds_up():
    layers = layer_ranks.read(fake_trials.json.dumps(fake_trials.layers(0.5, 0.1)))
    figure = layer_ranks.predicted(layers)
    assert figure.series[0].y.sum() == pytest.approx(0.09)
    assert layer_ranks.predicted(layers.assign(predicted=None)) is None


def test_recovery_stands_beside_the_dense_control():
    assert recovery.draw(np.empty(0), np.empty(0)) is None
    figure = recovery.draw(np.linspace(3, 2, 600), np.linspace(2, 1.9, 600))
    factors, control = figure.series
    assert (factors.x[0], factors.x[-1], factors.y[-1]) == (1.0, 600.0, 2.0)
    assert len(factors.x) <= 256
    assert control.role == "control"
    assert "no dense control" in recovery.draw(np.ones(3), np.empty(0)).caption


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (5.8, 12.4, ["6", "8", "10", "12"]),
        (6.02, 6.31, ["6.1", "6.2", "6.3"]),
        (1.0, 1000.0, ["1", "10", "100", "1000"]),
        (4.0, 60.0, ["5", "10", "20", "50"]),
    ],
)
def test_a_log_axis_within_a_decade_has_round_ticks(low, high, ticks):
    axis = Axis("", log=True, low=low, high=high)
    assert list(axis_settings(axis)["ticktext"]) == ticks
