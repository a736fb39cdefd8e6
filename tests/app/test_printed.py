"""Curves in matplotlib: the numbers that are drawn, axes, lines across, the legend."""

from itertools import pairwise

import matplotlib.colors
import numpy as np
import pytest
from matplotlib.collections import LineCollection

from app.plots import colours
from app.plots.figure import Axis, Mark, Series
from app.plots.printed import render_matplotlib
from tests.app.small_figures import X, Y, axes_of, figure


def test_a_line_and_joined_points_are_drawn_at_their_numbers():
    line, joined = axes_of(figure(Series("a", X, Y), Series("b", X, 2 * Y, kind="joined"))).lines
    assert np.array_equal(line.get_xydata(), np.column_stack([X, Y]))
    assert line.get_marker() == "None"
    assert np.array_equal(joined.get_xydata(), np.column_stack([X, 2 * Y]))
    assert joined.get_marker() == "o"
    assert joined.get_linewidth() > 0


def test_points_are_not_joined():
    [points] = axes_of(figure(Series("a", X, Y, kind="points"))).lines
    assert points.get_linewidth() == 0
    assert np.array_equal(points.get_ydata(), Y)


def test_a_histogram_has_its_edges_and_a_gap_where_a_bin_is_empty():
    heights = np.array([3.0, 0.0, 1.0])
    [stairs] = axes_of(figure(Series("h", X, heights, kind="steps"), y=Axis(log=True))).patches
    drawn, edges, baseline = stairs.get_data()
    assert np.array_equal(drawn, [3.0, np.nan, 1.0], equal_nan=True)
    assert np.array_equal(edges, X)
    assert baseline is None


def test_a_band_reaches_from_its_lower_to_its_upper_edge():
    [band] = axes_of(figure(Series("b", X, Y, "control", "band", upper=Y + 3))).collections
    corners = {(float(x), float(y)) for x, y in band.get_paths()[0].vertices}
    assert corners == set(zip(X, Y, strict=True)) | set(zip(X, Y + 3, strict=True))
    assert band.get_alpha() < 0.5


def test_bars_that_share_places_stand_beside_each_other():
    bars = axes_of(figure(Series("a", X, Y, kind="bars"), Series("b", X, -Y, kind="bars"))).patches
    assert [bar.get_height() for bar in bars] == [*Y, *-Y]
    ends = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars)
    assert all(left[1] <= right[0] + 1e-9 for left, right in pairwise(ends))
    centres = [bar.get_x() + bar.get_width() / 2 for bar in bars]
    assert np.allclose(np.add(centres[:4], centres[4:]) / 2, X, atol=1e-12)


def test_bars_of_places_of_their_own_stand_on_them():
    bars = axes_of(
        figure(Series("a", X[:2], Y[:2], kind="bars"), Series("b", X[2:], Y[2:], kind="bars"))
    ).patches
    assert np.allclose([bar.get_x() + bar.get_width() / 2 for bar in bars], X, atol=1e-12)


@pytest.mark.parametrize("kind", ["points", "joined", "bars"])
@pytest.mark.parametrize("log", [False, True])
def test_whiskers_end_exactly_where_they_are_said_to(kind, log):
    # The third does not surround its value; the last has none.
    lower = np.array([7.3, 3.9, 2.5, np.nan])
    upper = np.array([8.1, 4.7, 2.6, np.nan])
    series = Series("w", X, Y, kind=kind, lower=lower, upper=upper)
    axes = axes_of(figure(series, y=Axis(log=log)))
    [whiskers] = [found for found in axes.collections if isinstance(found, LineCollection)]
    ends = [(segment[0][1], segment[1][1]) for segment in whiskers.get_segments()]
    assert ends == list(zip(lower[:3], upper[:3], strict=True))
    assert [segment[0][0] for segment in whiskers.get_segments()] == X[:3].tolist()


def test_log_axes_have_plain_decades_and_the_given_ends():
    axes = axes_of(
        figure(Series("a", X, Y), x=Axis(log=True, low=0.5, high=2000.0), y=Axis(log=True))
    )
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert axes.get_xlim() == (0.5, 2000.0)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "10", "100", "1000"]
    assert axes.get_xticks().tolist() == [1, 10, 100, 1000]
    assert not any("$" in tick.get_text() for tick in axes.get_yticklabels())


def test_what_has_no_place_on_a_log_axis_is_a_gap():
    values = np.array([1.0, 0.0, -3.0, 5.0])
    series = Series("a", X, values, lower=values - 4, upper=values + 1, kind="joined")
    drawn = render_matplotlib(
        figure(series, y=Axis(log=True), marks=(Mark("y", 0.0, "zero", "floor"),))
    )
    drawn.canvas.draw()
    [curve] = [line for line in drawn.axes[0].lines if line.get_marker() == "o"]
    assert np.array_equal(curve.get_ydata(), [1.0, np.nan, np.nan, 5.0], equal_nan=True)
    assert drawn.axes[0].get_ylim()[0] > 0


def test_named_places_have_their_names_and_many_are_thinned():
    few = axes_of(figure(Series("a", X - 1, Y, kind="bars"), x=Axis(names=("q", "k", "v", "o"))))
    assert [tick.get_text() for tick in few.get_xticklabels()] == ["q", "k", "v", "o"]
    names = tuple(f"layer {i}" for i in range(200))
    many = axes_of(figure(Series("a", np.arange(200.0), np.ones(200)), x=Axis(names=names)))
    shown = [tick.get_text() for tick in many.get_xticklabels()]
    assert 20 <= len(shown) <= 60
    assert [names[int(at)] for at in many.get_xticks()] == shown


def test_ticks_with_words_stand_where_they_are_said_to():
    axis = Axis("layer", names=("a", "b", "c"), ticks=((0.0, "block 0"), (2.0, "block 1")))
    axes = axes_of(figure(Series("a", np.arange(3.0), Y[:3], kind="bars"), x=axis))
    found = [(tick.get_position()[0], tick.get_text()) for tick in axes.get_xticklabels()]
    assert found == [(0.0, "block 0"), (2.0, "block 1")]


@pytest.mark.parametrize("dark", [False, True])
def test_lines_across_have_their_words_beside_them(dark):
    marks = [Mark("x", at, f"k = {at}", "energy") for at in (2.0, 2.1, 2.2)]
    marks += [Mark("y", 5.0, "edge", "edge"), Mark("x", 900.0, "beyond", "fit")]
    shown = figure(Series("a", X, Y), x=Axis(low=0.0, high=5.0), marks=tuple(marks))
    drawn = render_matplotlib(shown, dark=dark)
    drawn.canvas.draw()
    axes = drawn.axes[0]
    words = {text.get_text(): text for text in axes.texts}
    assert set(words) == {"k = 2.0", "k = 2.1", "k = 2.2", "edge"}  # none for what lies beyond
    assert words["edge"].get_color() == colours.colour("edge", dark=dark)
    boxes = [words[f"k = {at}"].get_window_extent() for at in (2.0, 2.1, 2.2)]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])
    assert axes.lines[1].get_xdata() == [2.0, 2.0]


def test_the_legend_names_every_series_and_covers_no_data():
    series = [Series(f"a name of some length {i}", X, i * Y) for i in range(9)]
    drawn = render_matplotlib(figure(*series))
    drawn.canvas.draw()
    axes = drawn.axes[0]
    legend = axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [s.name for s in series]
    box = legend.get_window_extent()
    assert box.y0 >= axes.get_window_extent().y1
    assert 0 <= box.x0 < box.x1 <= drawn.bbox.x1
    assert box.y1 <= drawn.bbox.y1
    # Rows of words do not eat the plot: the figure grows.
    assert axes.get_window_extent().height > 0.6 * 3.6 * drawn.dpi


def test_one_series_needs_no_legend():
    assert axes_of(figure(Series("a", X, Y))).get_legend() is None


@pytest.mark.parametrize("dark", [False, True])
def test_everything_can_be_read_on_its_page(dark):
    drawn = render_matplotlib(figure(Series("a", X, Y), Series("b", X, Y), x=Axis("x")), dark=dark)
    axes = drawn.axes[0]
    page = matplotlib.colors.to_hex(drawn.get_facecolor())
    assert page == matplotlib.colors.to_hex(axes.get_facecolor())
    assert page == ("#171614" if dark else "#ffffff")
    [below] = axes.get_xticklabels()[:1]
    words = [axes.xaxis.label, below, *axes.get_legend().get_texts()]
    assert {matplotlib.colors.to_hex(text.get_color()) for text in words} == {
        "#eceae6" if dark else "#15181d"
    }
