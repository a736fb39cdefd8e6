"""Maps in matplotlib: values, colours, numbers that can be read, names that have room."""

from itertools import pairwise

import matplotlib.colors
import numpy as np
import pytest

from app.plots import colours
from app.plots.plotly import render_plotly
from app.plots.printed import as_file, render_matplotlib
from tests.app.small_figures import DIVERGING, SEQUENTIAL, axes_of, cells, meshes


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("scale", [SEQUENTIAL, DIVERGING], ids=["sequential", "diverging"])
def test_cells_have_their_values_and_the_colours_of_the_page(scale, dark):
    values = np.linspace(scale.low - 0.5, scale.high + 0.5, 12).reshape(3, 4)
    shown = cells(values, scale)
    drawn = render_matplotlib(shown, dark=dark)
    drawn.canvas.draw()
    [mesh] = meshes(drawn.axes[0])
    assert np.array_equal(mesh.get_array(), values)
    heat = render_plotly(shown, dark=dark).data[1]
    assert (heat.zmin, heat.zmax) == (scale.low, scale.high)
    shares = np.clip((values.ravel() - heat.zmin) / (heat.zmax - heat.zmin), 0, 1)
    wanted = [matplotlib.colors.to_rgb(colours.mixed(heat.colorscale, at)) for at in shares]
    assert np.abs(mesh.get_facecolors()[:, :3] - wanted).max() <= 1 / 255
    ticks = drawn.axes[1].get_yticklabels()
    assert [(t.get_position()[1], t.get_text()) for t in ticks] == list(scale.ticks)


def test_row_0_is_the_top_one_and_numbers_can_be_read():
    axes = axes_of(cells([[0.0, 1.0], [0.5, 0.2]], SEQUENTIAL))
    assert axes.get_ylim() == (1.5, -0.5)
    found = {text.get_position(): (text.get_text(), text.get_color()) for text in axes.texts}
    assert found[0, 0] == ("0.0", colours.DARK_INK)
    assert found[1, 0] == ("1.0", colours.PALE_INK)
    assert found[0, 1][0] == "0.5"


def test_a_layer_without_a_value_is_grey_and_what_is_no_layer_is_empty():
    names = np.array([["a", "b"], ["c", ""]], object)
    axes = axes_of(cells([[0.1, np.nan], [0.9, np.nan]], SEQUENTIAL, names))
    blank, heat = meshes(axes)
    assert np.ma.getmaskarray(blank.get_array()).tolist() == [[True, False], [True, True]]
    assert np.ma.getmaskarray(heat.get_array()).tolist() == [[False, True], [False, True]]
    assert {text.get_text() for text in axes.texts} == {"0.1", "nan", "0.9"}


def test_a_large_map_is_one_picture_within_the_file_and_has_no_numbers():
    large = cells(np.linspace(0, 1, 128 * 128).reshape(128, 128), SEQUENTIAL)
    axes = axes_of(large)
    [mesh] = meshes(axes)
    assert mesh.get_rasterized()
    assert not axes.texts
    assert len(as_file(large, "svg")) < 1_000_000


@pytest.mark.parametrize(("rows", "height"), [(60, None), (100, 3.6)])
def test_names_of_many_rows_do_not_cover_each_other(rows, height):
    drawn = render_matplotlib(cells(np.ones((rows, 2)), SEQUENTIAL), height=height)
    drawn.canvas.draw()
    labels = drawn.axes[0].get_yticklabels()
    assert len(labels) == rows if height is None else len(labels) < rows
    boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.y0)
    assert all(below.y1 <= above.y0 + 1 for below, above in pairwise(boxes))
