"""Two models' cells in one map: differences and ratios by hand, and nothing is left out."""

import numpy as np
import pytest

from app.plots import difference, grid
from app.plots.metric import Metric
from jobs.comparison import places
from tests.app.test_grid import LLAMA, RANK, profile

NORM = Metric("k95", "Norm", "", "norm")
OTHER = profile(
    ("blocks.0.q", 0, "q", "whole", 2, 0.5, "done"),
    ("blocks.1.q", 1, "q", "whole", 8, 2.0, "done"),
    ("blocks.1.v", 1, "v", "whole", 5, 1.0, "done"),
    ("blocks.2.q", 2, "q", "whole", 3, 0.7, "done"),
)


def compared(first, second, way, metric=RANK, names=("A", "B")):
    pair = [grid.prepared(table, metric, "absolute") for table in (first, second)]
    met = places.aligned(pair, names)
    sides = met.taken(pair[0], 0), met.taken(pair[1], 1)
    return difference.cells(met.places, sides, names, way, "absolute").set_index("layer")


def test_a_difference_is_the_first_minus_the_second():
    table = compared(LLAMA, OTHER, "difference")
    assert table.loc["blocks.0.q", "value"] == 4.0
    assert table.loc["blocks.0.q", "text"] == "+4.0"
    assert table.loc["blocks.1.q", "value"] == 0.0
    assert "A minus B: +4.0" in table.loc["blocks.0.q", "hover"]


def test_a_ratio_is_the_first_over_the_second_and_even_in_the_logarithm():
    table = compared(LLAMA, OTHER, "ratio", NORM)
    assert table.loc["blocks.0.q", "value"] == 3.0
    colours = grid.colour_scale(table["value"].to_numpy(), "ratio")
    assert (colours.low, colours.high) == (-np.log2(3), np.log2(3))
    blocks, _ = grid.maps(table.reset_index(), NORM, "ratio", colours)
    assert blocks.cells.colour[0, 0] == pytest.approx(np.log2(3))
    assert blocks.cells.colour[0, 1] == 0.0


def test_what_only_one_has_keeps_its_cell_and_says_so():
    table = compared(LLAMA, OTHER, "difference")
    assert set(table.index) == set(LLAMA["layer"]) | set(OTHER["layer"])
    assert table["value"].isna()[["embed", "blocks.0.v", "blocks.1.v", "blocks.2.q"]].all()
    assert table.loc["blocks.0.v", "text"] == "A only"
    assert table.loc["blocks.2.q", "text"] == "B only"
    assert "has no such layer" in table.loc["blocks.2.q", "hover"]
    assert table.loc["blocks.1.v", "text"] == "—"
    assert "no value (failed)" in table.loc["blocks.1.v", "hover"]
    drawn = grid.maps(table.reset_index(), RANK, "difference", grid.colour_scale(
        grid.coloured_by([table.reset_index()]), "difference"))  # fmt: skip
    assert "blocks.2.q" in drawn[0].cells.names


def test_differences_of_a_map_have_one_number_of_decimals():
    first = grid.prepared(LLAMA, RANK, "noise")
    second = first.assign(value=[0.9, 0.23, 1.0, None, 1.9])
    table = difference.cells(LLAMA, (first, second), ("a", "b"), "difference", "noise")
    assert table["text"].tolist() == ["+0.00", "+0.27", "+0.00", "—", "+0.10"]


def test_a_ratio_needs_two_positive_numbers():
    found = difference.values(np.array([1.0, 0.0, 2.0, np.nan]), np.array([2.0, 1, 0, 1]), "ratio")
    assert found[0] == 0.5
    assert np.isnan(found[1:]).all()


@pytest.mark.parametrize(
    ("kind", "ways"),
    [("norm", ["ratio", "difference"]), ("rank", ["difference", "ratio"]),
     ("exponent", ["difference"])],
)  # fmt: skip
def test_the_natural_way_comes_first(kind, ways):
    assert difference.ways(Metric("x", "X", "", kind)) == ways


def test_names_of_models_are_shown_as_text():
    table = compared(LLAMA, OTHER, "difference", names=("<script>a</script>", "B"))
    assert "<script>" not in " ".join(table["hover"])
    assert "&lt;script&gt;" in table["hover"].iloc[0]


def test_the_sentence_says_what_is_subtracted_and_what_blue_means():
    said = difference.sentence(RANK, "noise", "difference", ("A", "B"))
    assert "A minus B" in said
    assert "Blue: A has more" in said
    said = difference.sentence(NORM, "absolute", "ratio", ("A", "B"))
    assert "A over B" in said
    assert "1 is equal" in said
