"""The numbers of figures as tables, and their way through a CSV file and back."""

import io
import math

import numpy as np
import pandas as pd
import pytest

from app.plots import data
from app.plots.figure import Axis, Cells, Figure, Mark, Scale, Series

AWKWARD = np.array([1 / 3, 1e-300, -0.1 - 0.2, 2.0**53 + 2])


def read(figure):
    return pd.read_csv(io.BytesIO(data.as_csv(figure)))


def of(values, scale, rows=("q", "k"), columns=("0", "1")):
    text = np.array([["one", "failed"], ["", 'two, "quoted"']], object)
    none = np.full((2, 2), "", object)
    shown = Cells(np.asarray(values), text, none, none, scale)
    return Figure("", "", Axis(names=columns), Axis(names=rows), cells=shown)


def test_every_number_of_curves_comes_back_bit_by_bit():
    x = np.arange(4.0)
    lower, upper = AWKWARD - 0.1, AWKWARD * 1.1
    series = Series('a, "b"\n=c', x, AWKWARD, kind="points", lower=lower, upper=upper)
    back = read(Figure("", "", Axis(), Axis(), (series,), (Mark("y", math.pi, "edge", "edge"),)))
    assert back.columns.tolist() == ["series", "kind", "x", "y", "lower", "upper"]
    points, mark = back[:4], back.iloc[4]
    assert set(points["series"]) == {'a, "b"\n=c'}
    for name, wanted in (("x", x), ("y", AWKWARD), ("lower", lower), ("upper", upper)):
        assert points[name].tolist() == wanted.tolist()
    assert (mark["series"], mark["kind"], mark["y"]) == ("edge", "mark", math.pi)
    assert math.isnan(mark["x"])


def test_bins_have_both_their_edges():
    bins = Series("h", np.array([0.0, 0.5, 2.0]), np.array([3.0, 0.0]), kind="steps")
    found = data.table(Figure("", "", Axis(), Axis(), (bins, Series("l", AWKWARD, AWKWARD))))
    steps = found[found["kind"] == "steps"]
    assert steps[["x", "x_end", "y"]].to_numpy().tolist() == [[0.0, 0.5, 3.0], [0.5, 2.0, 0.0]]
    assert found.loc[found["kind"] == "line", "x_end"].isna().all()


def test_categories_have_their_names():
    bars = Series("b", np.array([0.0, 2.0]), np.array([5.0, 6.0]), kind="bars")
    found = data.table(Figure("", "", Axis(names=("q", "k", "v")), Axis(), (bars,)))
    assert found["name"].tolist() == ["q", "v"]
    assert found["y"].tolist() == [5.0, 6.0]


def test_a_band_has_both_its_edges():
    band = Series("b", AWKWARD, AWKWARD, "control", "band", upper=AWKWARD + 1)
    found = data.table(Figure("", "", Axis(), Axis(), (band,)))
    assert found["upper"].tolist() == (AWKWARD + 1).tolist()
    assert found["lower"].isna().all()


def test_cells_that_say_something_are_rows_with_their_names():
    back = read(of([[1 / 3, np.nan], [np.nan, 0.1]], Scale("sequential", 0.0, 1.0)))
    assert back.columns.tolist() == ["row", "column", "value", "text"]
    assert back["row"].tolist() == ["q", "q", "k"]
    assert back["column"].tolist() == [0, 1, 1]
    assert back["value"].tolist()[::2] == [1 / 3, 0.1]
    assert math.isnan(back["value"][1])
    assert back["text"].tolist() == ["one", "failed", 'two, "quoted"']


def test_a_map_coloured_by_the_logarithm_has_the_values_themselves():
    found = data.table(of(np.log2([[0.3, 1.0], [4.0, 7.0]]), Scale("diverging", -3, 3, log2=True)))
    assert found["value"].tolist() == pytest.approx([0.3, 1.0, 4.0, 7.0], rel=1e-15)


def test_rows_of_one_name_are_told_apart():
    tokens = of(np.eye(2), Scale("sequential", 0.0, 1.0), rows=("the", "the"))
    assert data.table(tokens)["row"].unique().tolist() == ["the (0)", "the (1)"]


def test_a_figure_of_nothing_is_a_table_of_no_rows():
    found = data.table(Figure("", "", Axis(), Axis()))
    assert len(found) == 0
    assert {"series", "x", "y", "lower", "upper"} <= set(found)
