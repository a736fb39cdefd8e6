import numpy as np
import pytest

from app.plots import bars, grid
from app.plots.decay import Axes, Curve, one_decay, overlaid_decays
from app.plots.density import eigenvalue_density
from app.plots.figure import Axis, Cells, Figure, Mark, Scale, Series
from app.plots.plotly import render_plotly

CELLS = Cells(
    colour=np.array([[0.1, np.nan], [0.9, 0.5]]),
    text=np.array([["10 %", "failed"], ["90 %", "50 %"]], dtype=object),
    names=np.array([["a", "b"], ["c", ""]], dtype=object),
    hover=np.array([["A", "B"], ["C", ""]], dtype=object),
    scale=Scale("sequential", 0.0, 1.0, ((0.0, "0 %"), (1.0, "100 %"))),
)
MAP = Figure("map", "a map", Axis("block", names=("0", "1")), Axis(names=("q", "v")), cells=CELLS)


def targets(drawn):
    return drawn.data[-1]


def test_each_layer_has_a_square_that_takes_the_click():
    squares = targets(render_plotly(MAP))
    assert [list(row) for row in squares.customdata] == [["a"], ["b"], ["c"]]
    assert list(zip(squares.x, squares.y, strict=True)) == [(0, 0), (1, 0), (0, 1)]
    assert squares.marker.symbol == "square"
    assert all(heat.hoverinfo == "skip" for heat in render_plotly(MAP).data[:-1])


def test_a_cell_without_a_value_is_grey_and_keeps_its_words():
    blank, _, squares = render_plotly(MAP).data
    assert np.isnan(np.array(blank.z, float)).tolist() == [[True, False], [True, True]]
    assert squares.text[1] == "failed"


@pytest.mark.parametrize("dark", [False, True])
def test_numbers_are_dark_on_pale_cells_and_pale_on_dark_ones(dark):
    inks = targets(render_plotly(MAP, dark=dark)).textfont.color
    assert inks[0] == "#000000"
    assert inks[2] == "#ffffff"


def test_open_layers_are_outlined():
    shapes = render_plotly(MAP, selected=["c"]).layout.shapes
    assert {(shape.x0 + shape.x1, shape.y0 + shape.y1) for shape in shapes} == {(0, 2)}
    assert {shape.line.color for shape in shapes} == {"#000000", "#ffffff"}  # seen on any cell


def test_a_drag_cannot_move_a_map_from_under_the_pointer():
    layout = render_plotly(MAP).layout
    assert layout.xaxis.fixedrange
    assert layout.yaxis.fixedrange


def test_a_map_of_nothing_still_renders():
    none = np.empty((0, 0))
    cells = Cells(none, none.astype(object), none.astype(object), none.astype(object), CELLS.scale)
    assert render_plotly(Figure("none", "", Axis(), Axis(), cells=cells)).layout.height > 0


def test_names_of_many_bars_are_thinned_and_those_of_rows_are_not():
    names = tuple(f"layer {i}" for i in range(100))
    many = Figure("bars", "", Axis(names=names), Axis())
    assert len(render_plotly(many).layout.xaxis.tickvals) <= 40
    tall = Cells(
        colour=np.ones((100, 1)),
        text=np.full((100, 1), "1", dtype=object),
        names=np.array([[name] for name in names], dtype=object),
        hover=np.full((100, 1), "", dtype=object),
        scale=CELLS.scale,
    )
    rows = render_plotly(Figure("tall", "", Axis(names=("0",)), Axis(names=names), cells=tall))
    assert len(rows.layout.yaxis.tickvals) == 100


def test_words_of_upright_marks_do_not_cover_each_other():
    curve = Curve("W", np.arange(1, 9.0), np.geomspace(8, 1, 8), 8)
    marks = [Mark("x", at, f"at {at}", "energy") for at in (3.0, 3.1, 3.2)]
    drawn = render_plotly(one_decay(curve, {}, marks, Axes()))
    heights = [note.y for note in drawn.layout.annotations]
    assert np.diff(sorted(heights)).min() > 0.05


def test_layers_drawn_together_have_colours_of_their_own():
    curves = [Curve(name, np.array([1.0, 2.0]), np.array([2.0, 1.0]), 2) for name in "abc"]
    drawn = render_plotly(overlaid_decays(curves, Axes(normalised=True)))
    assert len({line.line.color for line in drawn.data}) == 3


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(
    "figure",
    [
        MAP,
        eigenvalue_density(np.geomspace(3, 0.1, 50), None, None, name="W"),
        Figure("empty", "", Axis(log=True, low=0.2, high=0.4), Axis()),
    ],
    ids=lambda figure: figure.title,
)
def test_every_kind_of_figure_renders(figure, dark):
    assert render_plotly(figure, dark=dark).to_json()


def test_bars_take_one_number_a_layer_and_count_the_rest():
    import pandas as pd

    results = pd.DataFrame({"label": ["a", "b", "c"], "half": [1.0, None, 3.0]})
    figure = bars.by_layer(results, "half", "Half")
    assert figure.x.names == ("a", "c")
    assert figure.series[0].y.tolist() == [1.0, 3.0]
    assert "1 without a value" in figure.caption


def test_names_from_files_are_no_markup():
    name = "<a href='x'>q</a>"
    curve = Curve(name, np.array([1.0, 2.0]), np.array([2.0, 1.0]), 2)
    drawn = render_plotly(overlaid_decays([curve, curve], Axes()))
    assert "<a" not in drawn.data[0].name + drawn.data[0].hovertemplate
    named = Figure("map", "", Axis(names=(name, "1")), Axis(names=("q", "v")), cells=CELLS)
    assert "<a" not in render_plotly(named).layout.xaxis.ticktext[0]


def test_a_large_map_is_drawn_without_numbers():
    wide = grid.Cells(
        colour=np.ones((1, 40)),
        text=np.full((1, 40), "1", dtype=object),
        names=np.array([[f"l{i}" for i in range(40)]], dtype=object),
        hover=np.full((1, 40), "", dtype=object),
        scale=Scale("sequential", 0.0, 2.0),
    )
    names = tuple(str(i) for i in range(40))
    drawn = render_plotly(
        Figure("wide", "", Axis("block", names=names), Axis(names=("q",)), cells=wide)
    )
    assert set(targets(drawn).text) == {""}


def test_whiskers_reach_from_the_lower_to_the_upper_end():
    x, y = np.arange(2.0), np.array([3.0, 5.0])
    series = Series(
        "s", x, y, kind="points", lower=np.array([2.0, 4.5]), upper=np.array([7.0, 6.0])
    )
    [drawn] = render_plotly(Figure("", "", Axis(), Axis(), series=(series,))).data
    assert (y + drawn.error_y.array).tolist() == [7.0, 6.0]
    assert (y - drawn.error_y.arrayminus).tolist() == [2.0, 4.5]


def test_a_band_is_closed_and_lets_curves_show_through():
    band = Series("b", np.arange(3.0), np.zeros(3), "control", "band", upper=np.ones(3))
    [drawn] = render_plotly(Figure("", "", Axis(), Axis(), series=(band,))).data
    assert list(zip(drawn.x, drawn.y, strict=True)) == [
        (0, 0), (1, 0), (2, 0), (2, 1), (1, 1), (0, 1),
    ]  # fmt: skip
    assert drawn.fill == "toself"
    assert drawn.fillcolor.startswith("rgba(")
