"""The figures of activations show the numbers of the rows they are given."""

import numpy as np
import pandas as pd
import pytest

from app.plots import activations as plots
from app.plots.plotly import render_plotly

INPUTS = [8.0, 4.0, 2.0, 1.0, 1.0, 0.0]


def layer(block, module, *, rows=4, cols=6, dimension=3.0, **more):
    return {
        "layer": f"blocks.{block}.{module}" if block is not None else module,
        "head": None, "block": block, "module": module, "rows": rows, "cols": cols,
        "tokens": 60, "tokens_by_input": 60 / cols,
        "input_dimension": dimension, "input_effective_rank": dimension + 1,
        "input_95": 4, "input_99": 5, "input_values": INPUTS,
        "output_dimension": 1.5, "output_effective_rank": 1.7, "output_95": 2, "output_99": 3,
        "output_values": [6.0, 3.0, 1.0, 0.0],
        "acts_at": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "acts": [0.3, 0.5, 0.7, 0.8, 0.9, 1.0],
        "acts_95": 0.8, "acts_95_chance": 4 / 6,
        "cache_bytes_95": None, "cache_bytes_99": None, "cache_bytes_full": None, "note": None,
    } | more  # fmt: skip


def cached(block, module, directions):
    """Rows of one layer with two heads of two numbers, that need these directions at 95 %."""

    def of(d, n):
        return {"output_95": d, "output_99": n, "rows": n, "cache_bytes_95": 2 * d,
                "cache_bytes_99": 2 * n, "cache_bytes_full": 2 * n}  # fmt: skip

    heads = [
        layer(block, module, **(of(d, 2) | {"head": h, "input_values": None}))
        for h, d in enumerate(directions)
    ]
    whole = of(sum(directions), 4) | {"output_95": 2}  # all heads together need fewer
    return [layer(block, module, **whole), *heads]


def block(number):
    return [
        layer(number, "q", dimension=2.0 + number),
        *cached(number, "k", [1, 2]),
        *cached(number, "v", [1, 1]),
        layer(number, "o", dimension=1.0),
        layer(number, "up", rows=12, dimension=5.0),
        layer(number, "down", rows=6, cols=12, dimension=6.0),
    ]


ROWS = pd.DataFrame([*block(0), *block(1), layer(None, "head", rows=29)])


def lines(figure):
    return {series.name: (series.x.tolist(), series.y.tolist()) for series in figure.series}


def test_totals_count_each_layer_once():
    found = plots.totals(ROWS)
    # Two blocks: k needs 3 directions of 4, v 2 of 4, at two bytes each.
    assert found.cache == {"95": 2 * 2 * (3 + 2), "99": 2 * 2 * 8, "full": 2 * 2 * 8}
    assert found.layers == 13
    dimensions = [2.0, 3, 3, 1, 5, 6, 3.0, 3, 3, 1, 5, 6, 3]
    assert found.dimension == np.median(dimensions)
    assert found.share == pytest.approx(0.5)
    assert (found.tokens, found.tokens_by_input) == (60, 5.0)


def test_totals_of_a_model_without_a_cache_are_not_known():
    found = plots.totals(pd.DataFrame([layer(0, "fc1")]))
    assert found.cache == {"95": None, "99": None, "full": None}
    assert plots.totals(ROWS.assign(input_dimension=None)).dimension is None


def test_one_line_for_layers_that_read_one_input():
    found = lines(plots.by_depth(ROWS, "input", "dimension", share=False))
    assert list(found) == ["input of q, k, v", "input of o", "input of up", "input of down"]
    # q has 2 and 3, k and v 3 each: the mean, though real ones are all the same.
    assert found["input of q, k, v"] == ([0, 1], pytest.approx([8 / 3, 3]))
    assert found["input of down"] == ([0, 1], [6, 6])


def test_outputs_have_their_own_lines_and_widths():
    figure = plots.by_depth(ROWS, "output", "95", share=True)
    found = lines(figure)
    assert list(found) == [f"output of {n}" for n in ("q", "k", "v", "o", "up", "down")]
    assert found["output of k"][1] == [0.5, 0.5]  # the layer's own 2 of 4, not its heads'
    assert found["output of up"][1] == pytest.approx([2 / 12] * 2)
    assert (figure.y.title, figure.y.low) == ("share of width", 0.0)
    assert figure.y.high > 0.5
    assert "not centred" in figure.caption
    render_plotly(figure)


def test_lines_beyond_the_colours_are_named_in_the_sentence():
    rows = pd.DataFrame([layer(0, f"fc{i}") for i in range(9)])
    figure = plots.by_depth(rows, "input", "99", share=False)
    assert len(figure.series) == 7
    assert figure.caption.endswith("Not drawn: input of fc7, input of fc8.")
    assert plots.by_depth(pd.DataFrame([layer(None, "head")]), "input", "95", share=False) is None


def test_the_map_has_a_row_for_each_head_and_a_column_for_each_block():
    figure = plots.cache_map(ROWS, "95")
    assert figure.y.names == ("k 0", "k 1", "v 0", "v 1")
    assert figure.x.names == ("0", "1")
    assert figure.cells.colour.tolist() == [[0.5, 0.5], [1, 1], [0.5, 0.5], [0.5, 0.5]]
    assert figure.cells.text[:, 0].tolist() == ["1", "2", "1", "1"]
    assert figure.cells.names[1, 1] == "blocks.1.k[head 1]"
    assert "95 % of the energy: 2 of 2 directions" in figure.cells.hover[1, 0]
    assert (plots.cache_map(ROWS, "99").cells.colour == 1).all()
    render_plotly(figure, selected=["blocks.1.k[head 1]"])


def test_heads_are_in_the_order_of_their_numbers():
    found = [layer(0, "k", head=h) for h in range(12)]
    names = plots.cache_map(pd.DataFrame([layer(0, "k"), *found]), "95").y.names
    assert names == tuple(f"k {h}" for h in range(12))


def test_layers_without_heads_are_in_the_map_whole():
    rows = pd.DataFrame([layer(0, "k"), layer(0, "v")])
    figure = plots.cache_map(rows, "95")
    assert (figure.y.names, figure.cells.names[0, 0]) == (("k", "v"), "blocks.0.k")
    assert figure.cells.colour.tolist() == [[0.5], [0.5]]
    assert plots.cache_map(pd.DataFrame([layer(0, "q")]), "95") is None


def test_spectra_are_shares_of_the_energy_without_empty_directions():
    figure = plots.spectra("blocks.0.q", ROWS.iloc[0].to_dict(), INPUTS)
    found = lines(figure)
    assert found["input"] == ([1, 2, 3, 4, 5], pytest.approx(np.array(INPUTS[:5]) / 16))
    assert found["output"] == ([1, 2, 3], pytest.approx([0.6, 0.3, 0.1]))
    assert [(mark.at, mark.text) for mark in figure.marks] == [
        (4.0, "95 % of input = 4"), (2.0, "95 % of output = 2")
    ]  # fmt: skip
    assert figure.y.log
    assert figure.y.low == pytest.approx(1 / 32)
    render_plotly(figure)


def test_an_output_that_is_always_zero_has_no_curve():
    row = layer(0, "k", output_values=None, output_95=None)
    figure = plots.spectra("k", row, np.array(INPUTS))
    assert list(lines(figure)) == ["input"]
    assert len(figure.marks) == 1
    render_plotly(plots.spectra("k", row, None))


def test_where_w_acts_stands_against_chance_and_against_the_input():
    figure = plots.acts("blocks.0.q", ROWS.iloc[0].to_dict(), INPUTS)
    found = lines(figure)
    assert found["W"] == ([1, 2, 3, 4, 5, 6], [0.3, 0.5, 0.7, 0.8, 0.9, 1.0])
    assert found["chance"][1] == pytest.approx(np.arange(1, 7) / 6)
    assert found["energy of the input"][1] == pytest.approx(np.cumsum(INPUTS) / 16)
    assert figure.caption.startswith("80 % of W lies in the 4 directions")
    assert "by chance 67 %" in figure.caption
    assert plots.acts("q", layer(0, "q", acts=None), INPUTS) is None
    assert "energy of the input" not in lines(plots.acts("q", layer(0, "q"), None))
    render_plotly(figure)
