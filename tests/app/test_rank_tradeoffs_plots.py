import numpy as np
import pandas as pd

from app.plots import tradeoffs
from app.plots.plotly import render_plotly


def point(**changed):
    layers = pd.DataFrame({
        "layer": ["blocks.0.q", "blocks.0.up", "blocks.1.q", "blocks.1.<b>"],
        "block": [0, 0, 1, 1],
        "module": ["q", "up", "q", "up"],
        "view": "whole",
        "kind": "linear",
        "rows": [8, 16, 8, 16],
        "cols": [8, 8, 8, 8],
        "full": 8,
        "rank": pd.array([2, 8, 0, None], dtype="Int64"),
        "dense": [False, True, False, True],
        "before": [64, 128, 64, 128],
        "after": [32, 128, 0, 128],
        "bytes": 0,
        "error": [0.25, 0.0, 1.0, np.nan],
        "reason": ["", "kept dense: why", "keeps no direction", "no spectrum"],
    })  # fmt: skip
    return layers.assign(**changed)


def test_the_curves_are_in_per_cent_with_a_dot_where_the_slider_stands():
    kept = np.array([0.5, 1.0])
    curves = {"greedy": (kept, np.array([0.2, 0.0])), "uniform": (kept, np.array([0.4, 0.0]))}
    figure = tradeoffs.errors_by_size(curves, (kept, np.array([0.8, 0.0])), (0.6, 0.15))
    greedy, uniform, noise, here = figure.series
    assert [s.name for s in figure.series[:2]] == ["greedy", "uniform"]
    assert greedy.x.tolist() == [50, 100]
    assert uniform.y.tolist() == [0.4, 0.0]
    assert (noise.role, noise.y.tolist()) == ("noise", [0.8, 0.0])
    assert (here.kind, here.x.tolist(), here.y.tolist()) == ("points", [60], [0.15])
    assert figure.y.high >= 0.8
    assert "Weights only: this says little about accuracy" in figure.caption
    assert len(render_plotly(figure).data) == 4


def test_without_noise_no_grey_curve_is_spoken_of():
    kept = np.array([0.5, 1.0])
    figure = tradeoffs.errors_by_size({"greedy": (kept, 0 * kept)}, None, (1.0, 0.0))
    assert [s.name for s in figure.series] == ["greedy", "here"]
    assert "Grey" not in figure.caption
    assert figure.y.high > 0


def test_each_cell_is_a_share_of_full_rank_and_dense_ones_say_so():
    [figure] = tradeoffs.rank_maps(point(), "greedy")
    assert figure.y.names == ("q", "up")
    assert figure.x.names == ("0", "1")
    np.testing.assert_array_equal(figure.cells.colour, [[0.25, 0.0], [1.0, np.nan]])
    assert figure.cells.text.tolist() == [["25 %", "0.0 %"], ["dense", "—"]]
    assert (figure.cells.scale.low, figure.cells.scale.high) == (0.0, 1.0)
    assert "greedy" in figure.caption


def test_the_hover_says_rank_size_error_and_reason():
    [figure] = tradeoffs.rank_maps(point(), "greedy")
    hover = figure.cells.hover
    assert "rank 2 of 8: 25 %" in hover[0, 0]
    assert "parameters 64 → 32" in hover[0, 0]
    assert "error 0.250" in hover[0, 0]
    assert hover[0, 1].endswith("keeps no direction")
    assert hover[1, 1] == "<b>blocks.1.&lt;b&gt;</b><br>16 × 8<br>no spectrum"


def test_layers_without_blocks_are_listed_by_name():
    [figure] = tradeoffs.rank_maps(point(block=None), "greedy")
    assert figure.y.names[0] == "blocks.0.q"
    assert not np.isnan(figure.cells.colour[0, 0])


def test_predicted_losses_are_drawn_up_to_a_little_above_what_is_reliable():
    kept = np.array([0.05, 0.5, 1.0])
    curves = {"greedy": (kept, np.array([7.0, 0.2, 0.0]))}
    figure = tradeoffs.losses_by_size(curves, (0.5, 0.2), 0.3)
    greedy, here = figure.series
    assert greedy.x.tolist() == [5, 50, 100]
    assert (here.x.tolist(), here.y.tolist()) == ([50], [0.2])
    assert 0.9 <= figure.y.high < 1.0
    assert [(mark.axis, mark.at) for mark in figure.marks] == [("y", 0.3)]
    assert "nats per token" in figure.y.title
    render_plotly(figure)
    far = tradeoffs.losses_by_size(curves, (0.05, 7.0), 0.3)
    assert far.y.high >= 7.0
    flat = tradeoffs.losses_by_size({"greedy": (kept, 0 * kept)}, (1.0, 0.0), 0.3)
    assert flat.y.high > 0
    assert not flat.marks


def test_each_cell_is_what_the_layer_adds_to_the_loss():
    nats = [0.0125, 0.0, 0.2, np.nan]
    [figure] = tradeoffs.loss_maps(point(nats=nats), "greedy")
    np.testing.assert_array_equal(figure.cells.colour, [[0.0125, 0.2], [0.0, np.nan]])
    assert figure.cells.text.tolist() == [["0.013", "0.20"], ["dense", "—"]]
    assert (figure.cells.scale.low, figure.cells.scale.high) == (0.0, 0.2)
    assert "predicted Δloss 0.0125 nats" in figure.cells.hover[0, 0]
    assert figure.title == "Predicted Δloss by block and module"


def test_a_whitened_error_does_not_speak_of_weights_only():
    kept = np.array([0.5, 1.0])
    figure = tradeoffs.errors_by_size(
        {"greedy": (kept, 0 * kept)}, None, (1.0, 0.0), "whitened error √(1 - E)"
    )
    assert "Weights only" not in figure.caption
    assert figure.y.title == "whitened error √(1 - E)"
