import numpy as np
import pandas as pd
import pytest

from app.plots import grid
from app.plots.metric import Metric

RANK = Metric("k95", "k95", "", "rank")


def profile(*layers):
    """Return a profile of (layer, block, module, view, k95, ratio, status)."""
    names = ["layer", "block", "module", "view", "k95", "k95_vs_noise", "status"]
    table = pd.DataFrame(layers, columns=names)
    message = table["status"].map({"failed": "holds NaN", "zero": "is all zero"}).fillna("")
    return table.assign(kind="linear", rows=8, cols=16, message=message)


LLAMA = profile(
    ("embed", None, "embed", "whole", 7, 0.9, "done"),
    ("blocks.0.v", 0, "v", "whole", 4, 0.5, "done"),
    ("blocks.0.q", 0, "q", "whole", 6, 1.0, "done"),
    ("blocks.1.v", 1, "v", "whole", None, None, "failed"),
    ("blocks.1.q", 1, "q", "whole", 8, 2.0, "done"),
)


def drawn(table, scale, metric=RANK):
    cells = grid.prepared(table, metric, scale)
    return grid.maps(cells, metric, scale, grid.colour_scale(cells["value"].to_numpy(), scale))


def test_rows_are_modules_in_the_order_a_block_computes_them_and_columns_are_blocks():
    blocks, outside = drawn(LLAMA, "absolute")
    assert blocks.y.names == ("q", "v")
    assert blocks.x.names == ("0", "1")
    assert blocks.cells.names.tolist() == [
        ["blocks.0.q", "blocks.1.q"],
        ["blocks.0.v", "blocks.1.v"],
    ]
    assert blocks.cells.colour[0].tolist() == [6.0, 8.0]
    assert outside.cells.names.tolist() == [["embed"]]


def test_no_layer_is_left_out_of_the_maps():
    shown = np.concatenate([figure.cells.names.ravel() for figure in drawn(LLAMA, "noise")])
    assert set(shown) == set(LLAMA["layer"])


def test_a_failed_layer_keeps_its_cell_and_says_why():
    blocks, _ = drawn(LLAMA, "absolute")
    assert np.isnan(blocks.cells.colour[1, 1])
    assert blocks.cells.text[1, 1] == "failed"
    assert "holds NaN" in blocks.cells.hover[1, 1]


def test_ratios_to_noise_diverge_evenly_around_one():
    blocks, outside = drawn(LLAMA, "noise")
    scale = blocks.cells.scale
    assert (scale.kind, scale.low, scale.high) == ("diverging", -1.0, 1.0)
    assert blocks.cells.colour[0].tolist() == [0.0, 1.0]
    assert blocks.cells.colour[1, 0] == -1.0
    assert (0.0, "1") in scale.ticks
    assert outside.cells.scale == scale


def test_shares_of_full_rank_are_written_in_percent():
    blocks, _ = drawn(LLAMA, "full")
    assert blocks.cells.text[0].tolist() == ["75 %", "100 %"]


def test_networks_without_blocks_have_their_layers_as_rows_and_views_as_columns():
    conv = profile(
        ("conv1[flattened]", None, "conv1", "flattened", 4, 0.5, "done"),
        ("conv1[slice 0,0]", None, "conv1", "slice 0,0", 3, 0.5, "done"),
        ("fc", None, "fc", "whole", 5, 0.5, "done"),
    )
    [figure] = drawn(conv, "absolute")
    assert figure.y.names == ("conv1", "fc")
    assert figure.x.names == ("whole matrix", "slice 0,0")
    shown = [["conv1[flattened]", "conv1[slice 0,0]"], ["fc", ""]]
    assert figure.cells.names.tolist() == shown


def test_views_and_doubled_names_get_rows_of_their_own():
    table = profile(
        ("blocks.0.v", 0, "v", "whole", 4, 0.5, "done"),
        ("blocks.0.v[head 2]", 0, "v", "head 2", 4, 0.5, "done"),
        ("blocks.0.experts.0.up", 0, "up", "whole", 4, 0.5, "done"),
        ("blocks.0.experts.1.up", 0, "up", "whole", 4, 0.5, "done"),
    )
    [figure] = drawn(table, "absolute")
    assert set(figure.y.names) == {"v", "v · head 2", "experts.0.up", "experts.1.up"}


def test_colours_are_spread_over_the_blocks_alone():
    table = grid.prepared(LLAMA, RANK, "absolute")
    assert np.nanmin(grid.coloured_by([table])) == 4.0
    outside = table[table["block"].isna()]
    assert grid.coloured_by([outside]).tolist() == [7.0]


def test_views_are_told_apart():
    views = ["whole", "part q", "expert 1", "flattened", "head 3", "slice 0,0"]
    table = profile(*((f"l{i}", 0, "q", view, 1, 1.0, "done") for i, view in enumerate(views)))
    assert grid.views(table) == ["whole", "heads", "slices"]
    assert grid.of_views(table, "whole")["layer"].tolist() == ["l0", "l1", "l2", "l3"]
    assert grid.of_views(table, "heads")["layer"].tolist() == ["l4"]
    assert grid.views(LLAMA) == ["whole"]


@pytest.mark.parametrize("scale", ["noise", "full", "absolute", "difference"])
@pytest.mark.parametrize("found", [[], [3.0], [3.0, 3.0], [0.0, 0.0]])
def test_a_colour_scale_has_width_whatever_the_values(scale, found):
    scale = grid.colour_scale(np.array(found), scale)
    assert scale.low < scale.high
