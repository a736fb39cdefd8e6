"""The Hessian's figures show the numbers of its rows, and its panel survives whatever they are."""

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app.plots import hessian as plots
from app.plots.figure import MOST_POINTS
from app.plots.plotly import render_plotly
from tests.app.seen import words

GRID = np.linspace(-2, 2, 64)


def exact(**changes):
    """A linear net's row: 30 of 40 eigenvalues count."""
    values = np.concatenate([np.geomspace(10, 0.01, 30), np.full(10, 1e-15)])
    values[1::2] *= -1
    row = {
        "layer": "whole", "label": "net", "status": "done", "message": "", "method": "exact",
        "parameters": 40, "rank": 30.0, "rank_se": 0.0, "rank_low": 30.0, "rank_high": 30.0,
        "rank_share": 0.75, "threshold": 1e-13, "rank_outer": 12.0, "rank_functional": 22.0,
        "rank_float32": 30, "bound": 30, "bound_outer": 12, "bound_functional": 22,
        "bound_label": "bound of this linear net", "gap": 1e13, "last_counted": 0.01,
        "first_not_counted": 1e-15, "significant": 28.0, "significant_se": 0.0,
        "significant_share": 0.7, "significant_threshold": 0.01, "negative": 15,
        "trace": 4.0, "trace_se": 0.0, "trace_outer": 5.0, "trace_outer_se": 0.0,
        "trace_functional": -1.0, "trace_functional_se": 0.0,
        "top_eigenvalues": values[:5], "eigenvalues": values,
        "eigenvalues_outer": np.concatenate([np.geomspace(10, 0.1, 12), np.zeros(28)]),
        "eigenvalues_functional": values / 2, "density_grid": None, "density": None,
        "density_se": None, "split_residual": 1e-16, "value": 0.5, "data": "200 rows",
        "text": "seeded Gaussian data", "dtype": "float64", "seed": 0, "warning": None,
    }  # fmt: skip
    return row | changes


def estimated(**changes):
    """A large layer's row: a peak at zero and few outliers."""
    density = np.exp(-0.5 * (GRID / 0.1) ** 2) / (0.1 * np.sqrt(2 * np.pi))
    empty = ("rank_outer", "rank_functional", "rank_float32", "bound", "bound_outer", "gap",
             "bound_functional", "last_counted", "first_not_counted", "negative", "eigenvalues",
             "eigenvalues_outer", "eigenvalues_functional")  # fmt: skip
    row = exact(
        layer="blocks.0.q", method="estimated", parameters=10000, rank=131.3, rank_se=3.2,
        rank_low=124.0, rank_high=138.6, rank_share=0.01313, threshold=0.19, significant=131.3,
        significant_se=3.2, significant_share=0.01313, trace=-198.0, trace_se=28.0,
        bound_label="no bound is known for transformers", density_grid=GRID, density=density,
        density_se=density / 10, top_eigenvalues=np.array([-189.0, 15.9, -10.8]),
    )  # fmt: skip
    return row | dict.fromkeys(empty) | changes


def test_sizes_are_drawn_by_index_with_the_three_lines():
    figure = plots.by_index(exact(), "net")
    total, outer, functional = figure.series
    assert total.x.tolist() == list(range(1, 41))
    assert total.y == pytest.approx(np.abs(exact()["eigenvalues"]))
    assert outer.x.tolist() == list(range(1, 13))  # zeros have no place on a log axis
    assert functional.y == pytest.approx(total.y / 2)
    assert [(m.axis, m.at, m.text) for m in figure.marks] == [
        ("x", 30, "rank 30 = predicted"),
        ("y", 1e-13, "threshold 1.00e-13"),
    ]
    assert figure.y.low < 1e-15
    assert figure.y.high > 10
    assert "a drop by 1.00e+13" in figure.caption
    assert len(plots.by_index(exact(), "net", ["eigenvalues_outer"]).series) == 1
    render_plotly(figure)


def test_a_bound_that_is_not_met_has_its_own_line_and_name():
    label = "linear-net bound: this net has relu, and may exceed it"
    marks = plots.by_index(exact(bound=25, bound_label=label), "net").marks
    assert [m.text for m in marks if m.axis == "x"] == ["rank 30", "linear-net bound 25"]
    marks = plots.by_index(exact(bound=float("nan")), "net").marks
    assert [m.text for m in marks if m.axis == "x"] == ["rank 30"]


def test_thousands_of_eigenvalues_are_thinned_but_not_around_the_rank():
    values = np.geomspace(1, 1e-12, 5000)
    figure = plots.by_index(exact(eigenvalues=values, rank=3000.0, parameters=5000), "net")
    x = figure.series[0].x
    assert len(x) <= MOST_POINTS
    assert set(range(2994, 3008)) <= set(x.tolist())
    assert (x[0], x[-1]) == (1, 5000)
    assert figure.series[0].y == pytest.approx(values[x - 1])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rank": 40.0, "gap": None}, "All 40 eigenvalues lie above rounding"),
        ({"rank": 0.0, "gap": None}, "does not bend here"),
        ({"gap": None}, "30 of 40 eigenvalues lie above rounding, the others do not."),
    ],
)
def test_what_is_said_of_the_rank(changes, said):
    assert said in plots.gap_sentence(exact(**changes))


def test_a_flat_loss_has_nothing_to_draw_and_no_fault():
    row = exact(rank=0.0, threshold=0.0, gap=None, eigenvalues=np.zeros(40), bound=None,
                eigenvalues_outer=np.zeros(40), eigenvalues_functional=np.zeros(40))  # fmt: skip
    render_plotly(plots.by_index(row, "net"))


def test_the_density_has_its_band_and_threshold():
    row = estimated()
    figure = plots.density(row, "q")
    band, line = figure.series
    drawn = ~np.isnan(line.y)
    assert line.y[drawn] == pytest.approx(row["density"][drawn])
    assert drawn.sum() < 64  # what is nine decades down is left out
    assert band.upper[drawn] == pytest.approx(1.196 * row["density"][drawn], rel=1e-6)
    inner = row["density"] > 1.3 * figure.y.low
    assert band.y[inner] == pytest.approx(0.804 * row["density"][inner], rel=1e-6)
    assert (band.y[~drawn] == figure.y.low).all()  # and nothing bridges the gap
    assert (band.upper[row["density"] < 0.8 * figure.y.low] == figure.y.low).all()
    assert [m.at for m in figure.marks] == [-0.19, 0.19]
    assert len(plots.density(estimated(density_se=None), "q").series) == 1
    render_plotly(figure)


def test_the_largest_keep_their_signs():
    figure = plots.largest(estimated(), "q")
    assert figure.series[0].y.tolist() == [-189.0, 15.9, -10.8]
    assert "2 of these 3 downwards" in figure.caption
    upwards = plots.largest(estimated(top_eigenvalues=np.array([2.0, 1.0])), "q")
    assert "rises along each" in upwards.caption


def test_layers_are_compared_with_their_intervals():
    rows = pd.DataFrame([exact(layer="a"), estimated()])
    figure = plots.by_layer(rows, "significant_share")
    [bars] = figure.series
    assert figure.x.names == ("a", "blocks.0.q")
    assert bars.y.tolist() == [0.7, 0.01313]
    assert bars.lower == pytest.approx([0.7, 124.0 / 10000])
    assert bars.upper == pytest.approx([0.7, 138.6 / 10000])
    assert "whiskers" in figure.caption
    assert "do not compare" in plots.by_layer(rows, "rank_share").caption
    assert "do not compare" not in plots.by_layer(rows.head(1), "rank_share").caption
    trace = plots.by_layer(rows, "trace").series[0]
    assert (trace.y[1], trace.lower[1]) == (-198, -198 - 1.96 * 28)
    assert plots.by_layer(rows, "largest").series[0].y.tolist() == [10, 189]
    many = pd.concat([rows] * 200)
    assert len(plots.by_layer(many, "trace").series[0].x) == MOST_POINTS
    assert "144 more" in plots.by_layer(many, "trace").caption


def script(rows, running):
    from app.shown import Shown
    from app.views.parts.panels.hessian import draw

    draw(Shown(None, {}, {"id": "j", "params": "{}"}, rows, lambda cell: cell, running))


def drawn(rows, *, running=False):
    at = AppTest.from_function(script, args=(rows, running), default_timeout=30).run()
    assert not at.exception
    return at


def test_an_exact_row_has_its_cards_and_eigenvalues():
    at = drawn(pd.DataFrame([exact(warning="in float32 the rank would come out as 28")]))
    cards = {metric.label: (metric.value, metric.delta) for metric in at.metric}
    assert cards["Rank"] == ("30", "H\\_O 12 · H\\_F 22")
    assert cards["Predicted rank"] == ("30", "met exactly")
    assert cards["Sharpest direction"][0] == "10"
    assert "In float32 the rank would come out as 28." in words(at)
    assert "Loss 0.500 over 200 rows (seeded Gaussian data)" in words(at)
    assert len(at.get("plotly_chart")) == 2
    assert not at.selectbox


def test_an_estimate_has_its_interval_and_density():
    at = drawn(pd.DataFrame([exact(), estimated()]))
    at.selectbox(key="hessian_layer").set_value("blocks.0.q").run()
    assert not at.exception
    cards = {metric.label: (metric.value, metric.delta) for metric in at.metric}
    assert cards["Rank above the threshold"] == ("131", "interval 124 to 139")
    assert cards["Trace"][0] == "-198 ± 28"
    assert cards["Sharpest direction"] == ("-189", "downwards")
    assert "Predicted rank" not in cards
    assert "Density of the eigenvalues" in words(at)
    assert len(at.get("plotly_chart")) == 3


def test_a_net_beyond_the_bound_says_how_far():
    label = "linear-net bound: this net has relu and biases, and may exceed it"
    at = drawn(pd.DataFrame([exact(bound=25, bound_label=label)]))
    cards = {metric.label: (metric.value, metric.delta) for metric in at.metric}
    assert cards["Linear-net bound"] == ("25", "the rank is 5 above")
    assert label in words(at)


FAILED = {"layer": ["a"], "label": ["a"], "status": ["failed"], "message": ["no"]}


@pytest.mark.parametrize(
    "rows",
    [
        pd.DataFrame([exact()]).head(0),
        pd.DataFrame(FAILED),
        pd.concat([pd.DataFrame(FAILED), pd.DataFrame([estimated()])]),
        pd.DataFrame([exact(), estimated(rank_se=None, rank_low=None, rank_high=None,
                                         density_se=None, trace_se=None)]),
        pd.DataFrame([exact(layer=f"a*b_{i}$[x]<b>") for i in range(60)]),
        pd.DataFrame([exact(rank=0.0, threshold=0.0, gap=None, top_eigenvalues=np.zeros(0))]),
    ],
    ids=["none", "failed", "partly", "one start", "markdown", "flat"],
)  # fmt: skip
@pytest.mark.parametrize("running", [True, False])
def test_it_survives(rows, running):
    drawn(rows, running=running)
