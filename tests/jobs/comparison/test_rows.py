"""Results of two jobs met by layer and by what else names a row."""

import pandas as pd

from jobs.comparison import places, rows

COLUMNS = [
    {"name": "layer", "type": "str"},
    {"name": "step", "type": "int", "kind": "note"},
    {"name": "seed", "type": "int", "kind": "note"},
    {"name": "rank", "type": "int", "kind": "rank"},
    {"name": "word", "type": "str", "kind": "note"},
]
LABELS = pd.DataFrame(
    [("blocks.0.q", 0, "q", "whole"), ("blocks.1.q", 1, "q", "whole")],
    columns=["layer", "block", "module", "view"],
)


def results(*found):
    table = pd.DataFrame(found, columns=["layer", "step", "rank"])
    return table.assign(seed=0, word="same")


SERIES = results(("blocks.0.q", 1, 5), ("blocks.0.q", 2, 6), ("blocks.1.q", 1, 7))


def test_a_column_names_rows_only_where_it_tells_them_apart():
    assert rows.named_by([SERIES, SERIES], COLUMNS) == ["step"]
    assert rows.named_by([SERIES.iloc[[0, 2]]], COLUMNS) == []


def test_a_measure_never_names_a_row():
    same_step = SERIES.assign(step=1)
    assert rows.named_by([same_step], COLUMNS) == []


def test_rows_meet_by_layer_and_step():
    other = results(("blocks.0.q", 2, 9), ("blocks.0.q", 3, 1))
    pair = [rows.placed(table, LABELS, ["step"]) for table in (SERIES, other)]
    found = places.aligned(pair, ("a", "b"))
    assert found.places["layer"].tolist() == [
        "blocks.0.q · step 1", "blocks.0.q · step 2", "blocks.1.q · step 1", "blocks.0.q · step 3",
    ]  # fmt: skip
    assert found.at.tolist() == [[0, -1], [1, 0], [2, -1], [-1, 1]]


def test_rows_of_models_with_other_names_meet_by_block_and_module():
    labels = LABELS.assign(layer=["h.0.attn.q", "h.1.attn.q"])
    other = SERIES.assign(layer=["h.0.attn.q", "h.0.attn.q", "h.1.attn.q"])
    pair = [rows.placed(SERIES, LABELS, ["step"]), rows.placed(other, labels, ["step"])]
    assert places.aligned(pair, ("a", "b")).at.tolist() == [[0, 0], [1, 1], [2, 2]]


def test_a_row_of_no_layer_stands_by_its_own_name():
    whole = pd.DataFrame({"layer": ["whole model", None], "rank": [1, 2]})
    placed = rows.placed(whole, LABELS, [])
    assert placed["module"].tolist() == ["whole model", ""]
    assert placed["block"].isna().all()
