import numpy as np
import pandas as pd
import pytest

from app.plots import tensorlens
from app.plots.plotly import render_plotly

TOKENS = ["<s>", "The", ' "cat', "\n"]
SHARE = np.array(
    [[0.9, 0, 0, 0], [-0.2, 0.5, 0, 0], [0.1, 0.2, 0.3, 0], [0.4, -0.1, 0.2, 0.25]]
)  # fmt: skip
BIAS = np.array([0.1, 0.7, 0.4, 0.25])


def drawn(values=SHARE, bias=BIAS, what="share", **settings):
    return tensorlens.token_map(values, bias, TOKENS, what, **{"causal": True} | settings)


def test_the_map_is_row_by_target_with_the_bias_apart():
    figure = drawn()
    colour = figure.cells.colour
    assert colour.shape == (4, 6)
    assert np.array_equal(np.tril(colour[:, :4]), SHARE)
    assert np.isnan(colour[:, :4][np.triu_indices(4, 1)]).all()  # no token looks ahead
    assert np.isnan(colour[:, 4]).all()
    assert np.array_equal(colour[:, 5], BIAS)
    assert figure.x.names == ("<s>", "The", '·"cat', "⏎", "", "bias")
    assert figure.y.names == ("<s>", "The", '·"cat', "⏎")
    assert "sum to 1" in figure.caption


def test_every_cell_says_what_it_is():
    hover = drawn().cells.hover
    assert hover[3, 1] == "from <b>The</b> (1) to <b>⏎</b> (3)<br>signed share: -0.100"
    assert hover[0, 0].startswith("from <b>&lt;s&gt;</b> (0)")
    assert hover[1, 5] == "from the <b>biases</b> to <b>The</b> (1)<br>signed share: 0.700"
    assert hover[0, 2] == ""
    assert hover[0, 4] == ""


def test_an_encoder_keeps_what_lies_ahead():
    assert np.array_equal(drawn(causal=False).cells.colour[:, :4], SHARE)


@pytest.mark.parametrize(("what", "kind"), [("share", "diverging"), ("norm", "sequential")])
def test_colours_reach_the_largest_but_outliers(what, kind):
    values = np.abs(np.random.default_rng(0).normal(size=(60, 60)))
    values[np.diag_indices(60)] = 1e4
    names = [str(i) for i in range(60)]
    scale = tensorlens.token_map(values, None, names, what, causal=False).cells.scale
    assert scale.kind == kind
    assert np.quantile(values, 0.9) < scale.high < 10
    assert scale.low == (-scale.high if kind == "diverging" else 0)
    assert scale.ticks[-1][1].startswith("≥ ")
    assert drawn(bias=None).cells.scale.ticks[-1][1] == "0.900"  # few cells: nothing is cut off


def test_a_map_of_zeros_and_a_map_with_unknown_rows_render():
    for values in (np.zeros((4, 4)), np.full((4, 4), np.nan)):
        render_plotly(drawn(values, np.zeros(4)))


def test_without_a_bias_there_is_no_column_for_it():
    figure = drawn(bias=None, what="rollout")
    assert figure.cells.colour.shape == (4, 4)
    assert figure.x.names[-1] == "⏎"


@pytest.mark.parametrize("count", [4, 48, 64, 128])
def test_large_maps_are_readable(count):
    values = np.tril(np.random.default_rng(0).normal(size=(count, count)))
    names = [f"token{i}" for i in range(count)]
    figure = tensorlens.token_map(values, np.zeros(count), names, "share", causal=True)
    page = render_plotly(figure)
    assert page.layout.height < 1000
    for axis, size in ((page.layout.xaxis, 800), (page.layout.yaxis, page.layout.height)):
        assert size / len(axis.ticktext) >= 10  # pixels: two names do not overlap
    assert page.layout.xaxis.ticktext[-1] == "bias"
    [heat] = [trace for trace in page.data if trace.type == "heatmap" and trace.hoverinfo != "skip"]
    assert heat.hovertext[count - 1][0].startswith("from <b>token0</b>")
    assert not any(trace.type == "scatter" and len(trace.x) for trace in page.data)


@pytest.mark.parametrize(
    ("token", "said"),
    [(" a", "·a"), ("\n", "⏎"), ("\t", "⇥"), ("", "∅"), ("abcdefghijklmnop", "abcdefghijk…"),
     ("##ing", "##ing")],
)  # fmt: skip
def test_tokens_are_written_so_that_they_can_be_seen(token, said):
    assert tensorlens.seen(token) == said


def test_the_text_is_shaded_by_what_each_token_adds_to_the_target():
    html = tensorlens.shaded_text(["<s>", " a\n", "b"], np.array([1.0, -0.5, 9.0]), 2, dark=False)
    assert "&lt;s&gt;" in html
    assert "<s>" not in html
    assert html.count("<span") == 3
    assert html.count("outline:3px") == 1
    assert html.index("outline") > html.index("a")
    strongest, weaker, target = [part.partition(";")[0] for part in html.split("background:")[1:]]
    assert strongest == "#17569b"
    assert target == strongest  # its own share sets no colours
    assert weaker == "#eaa35c"
    assert 'title="0: 1"' in html
    assert "<br>" in html


def test_shades_of_nothing():
    html = tensorlens.shaded_text(["a", "b"], np.zeros(2), 0, dark=True)
    assert html.count("<span") == 2
    unknown = tensorlens.shaded_text(["a", "b"], np.full(2, np.nan), 0, dark=True)
    assert unknown.count("<span") == 2


def test_deletion_curves():
    row = {
        "deleted_share": [0, 0.5, 1], "drop_contributions": [0, 3, 4], "drop_rollout": [0, 2, 4],
        "drop_random": [0, 1, 4], "deletion_windows": 50, "over_random": 1.0,
        "over_random_low": 0.5, "over_random_high": 1.5, "over_rollout": 0.5,
        "over_rollout_low": -0.1, "over_rollout_high": 1.1,
    }  # fmt: skip
    figure = tensorlens.deletion(row)
    assert [s.name for s in figure.series] == [
        "by contribution",
        "by attention rollout",
        "at random",
    ]
    assert [list(s.y) for s in figure.series] == [[0, 3, 4], [0, 2, 4], [0, 1, 4]]
    assert "ahead of random orders by 1 (0.500 to 1.50)" in figure.caption
    assert "not told apart from rollout: 0.500 (-0.100 to 1.10)" in figure.caption
    behind = row | {"over_rollout": -1.0, "over_rollout_low": -2.0, "over_rollout_high": -0.5}
    assert "behind rollout by 1 (0.500 to 2)" in tensorlens.deletion(behind).caption
    single = row | {"deletion_windows": 1, "over_random_low": None, "over_rollout_low": np.nan}
    assert "One window gives no interval" in tensorlens.deletion(single).caption
    render_plotly(figure)


def test_where_the_hidden_states_come_from_by_span():
    rows = pd.DataFrame(
        {"span": ["block 0", "block 1"], "bias_share": [[0.1, 0.7, 0.4, 0.25], [0.0] * 4]}
    )
    shares = [SHARE, np.eye(4)]
    figure = tensorlens.by_span(rows, shares)
    own, others, bias = figure.series
    assert own.y == pytest.approx([np.diag(SHARE).mean(), 1])
    assert bias.y == pytest.approx([BIAS.mean(), 0])
    assert own.y + others.y + bias.y == pytest.approx([1, 1])
    assert figure.x.names == ("block 0", "block 1")
    render_plotly(figure)
