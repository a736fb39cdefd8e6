"""Which layers meet: by block and module, by relative depth, and none is lost."""

import numpy as np
import pandas as pd
import pytest

from jobs.comparison import places


def model(*layers):
    """Return a table of (layer, block, module), each with its own number."""
    table = pd.DataFrame(layers, columns=["layer", "block", "module"])
    return table.assign(view="whole", number=np.arange(len(table), dtype=float))


def deep(blocks, modules=("q", "v"), name="blocks.{}.{}"):
    return model(
        ("embed", None, "embed"),
        *((name.format(b, m), b, m) for b in range(blocks) for m in modules),
    )


def met(found, tables):
    """Return the layers that meet, each by its own model's name."""
    return [
        tuple(
            None if at < 0 else table["layer"].iloc[at]
            for at, table in zip(row, tables, strict=True)
        )
        for row in found.at
    ]


def test_blocks_meet_by_number_and_what_only_the_deeper_has_is_kept():
    pair = deep(6), deep(4)
    found = places.aligned(pair, ("a", "b"))
    assert met(found, pair)[:3] == [
        ("embed", "embed"), ("blocks.0.q", "blocks.0.q"), ("blocks.0.v", "blocks.0.v"),
    ]  # fmt: skip
    alone = [names for names in met(found, pair) if None in names]
    assert alone == [(f"blocks.{b}.{m}", None) for b in (4, 5) for m in "qv"]
    assert found.lacking(1).sum() == 4
    assert not found.lacking(0).any()


def test_the_shallower_may_lead_and_still_nothing_is_lost():
    pair = deep(4), deep(6)
    alone = [n for n in met(places.aligned(pair, ("a", "b")), pair) if None in n]
    assert alone == [(None, f"blocks.{b}.{m}") for b in (4, 5) for m in "qv"]


def test_by_depth_the_ends_meet_and_blocks_between_by_the_nearest():
    # i * 3 / 5 for i = 0..5 is 0, 0.6, 1.2, 1.8, 2.4, 3.
    pair = deep(6, "q"), deep(4, "q")
    found = places.aligned(pair, ("a", "b"), by_depth=True)
    assert met(found, pair) == [
        ("embed", "embed"),
        ("blocks.0.q", "blocks.0.q"),
        ("blocks.1.q", "blocks.1.q"),
        ("blocks.2.q", "blocks.1.q"),
        ("blocks.3.q", "blocks.2.q"),
        ("blocks.4.q", "blocks.2.q"),
        ("blocks.5.q", "blocks.3.q"),
    ]


def test_by_depth_blocks_that_none_met_stand_alone_under_a_name_of_their_own():
    # i * 5 / 3 for i = 0..3 is 0, 1.67, 3.33, 5: blocks 1 and 4 of the deeper meet none.
    pair = deep(4, "q"), deep(6, "q")
    found = places.aligned(pair, ("small", "big"), by_depth=True)
    assert met(found, pair)[1:5] == [
        ("blocks.0.q", "blocks.0.q"), ("blocks.1.q", "blocks.2.q"),
        ("blocks.2.q", "blocks.3.q"), ("blocks.3.q", "blocks.5.q"),
    ]  # fmt: skip
    assert met(found, pair)[5:] == [(None, "blocks.1.q"), (None, "blocks.4.q")]
    assert found.places["layer"].tolist()[5:] == ["blocks.1.q of big", "blocks.4.q"]
    assert found.places["layer"].is_unique


@pytest.mark.parametrize(
    ("block", "blocks", "others", "there"),
    [(0, 1, 9, 0), (1, 3, 2, 1), (1, 3, 4, 2), (5, 6, 4, 3), (0, 6, 1, 0), (3, 6, 1, 0)],
)
def test_a_half_is_rounded_up(block, blocks, others, there):
    assert places.depth(block, blocks, others) == there


def test_layers_that_are_called_otherwise_meet_by_block_and_module():
    pair = deep(2), deep(2, name="encoder.layer.{}.attention.{}_proj")
    found = places.aligned(pair, ("a", "b"))
    assert not (found.at < 0).any()
    assert ("blocks.1.v", "encoder.layer.1.attention.v_proj") in met(found, pair)


def test_a_missing_layer_is_shown_as_missing_in_either_model():
    full, holed = deep(2), deep(2).drop(index=1)
    found = places.aligned((full, holed), ("a", "b"))
    assert [n for n in met(found, (full, holed)) if None in n] == [("blocks.0.q", None)]
    found = places.aligned((holed, full), ("a", "b"))
    assert [n for n in met(found, (holed, full)) if None in n] == [(None, "blocks.0.q")]


def test_two_layers_of_one_block_and_module_meet_by_what_follows_the_block():
    first = model(("blocks.0.conv1", 0, "conv"), ("blocks.0.conv2", 0, "conv"))
    second = model(("blocks.0.conv2", 0, "conv"), ("blocks.0.conv3", 0, "conv"))
    found = places.aligned((first, second), ("a", "b"))
    assert met(found, (first, second)) == [
        ("blocks.0.conv1", None), ("blocks.0.conv2", "blocks.0.conv2"), (None, "blocks.0.conv3"),
    ]  # fmt: skip


def test_rows_that_nothing_tells_apart_meet_in_their_order():
    twice = model(("a", None, "x"), ("a", None, "x"))
    found = places.aligned((twice, twice.iloc[:1]), ("a", "b"))
    assert found.at.tolist() == [[0, 0], [1, -1]]


def test_rows_are_taken_in_the_order_of_the_places():
    pair = deep(2, "q"), deep(1, "q").iloc[::-1]
    found = places.aligned(pair, ("a", "b"))
    taken = found.taken(pair[1], 1)["number"]
    assert taken.tolist()[:2] == [0.0, 1.0]
    assert np.isnan(taken.iloc[2])


def test_three_models_share_the_places_that_the_first_has_not():
    tables = deep(1, "q"), deep(2, "q"), deep(2, "q")
    found = places.aligned(tables, ("a", "b", "c"))
    assert met(found, tables)[-1] == (None, "blocks.1.q", "blocks.1.q")


def test_a_model_without_blocks_meets_one_that_has_them():
    pair = deep(2, "q"), model(("conv1", None, "conv1"))
    for by_depth in (False, True):
        found = places.aligned(pair, ("a", "b"), by_depth=by_depth)
        assert len(found.at) == 4
