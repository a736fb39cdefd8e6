"""The panel of stable-rank convergence survives whatever rows a job has."""

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from tests.app.seen import words
from tests.app.test_stable_rank_plots import made


def script(rows, running):
    from app.shown import Shown
    from app.views.parts.panels.stable_rank import draw

    draw(Shown(None, {}, {"id": "j", "params": "{}"}, rows, lambda cell: cell, running))


def drawn(rows, *, running=False):
    at = AppTest.from_function(script, args=(rows, running), default_timeout=30).run()
    assert not at.exception
    return at


def test_a_switched_run_has_its_epoch_cards_and_ranks():
    at = drawn(made(at=4))
    assert "could go on with factors from epoch 4" in words(at)
    assert "Rank each layer gets at the switch, epoch 4" in words(at)
    cards = {metric.label: metric.value for metric in at.metric}
    assert cards["Switch epoch E"] == "4"
    assert cards["Stable layers"] == "1 of 2"
    assert cards["Mean rank at the switch"] == "75 %"  # (16 + 20)/48
    [table] = at.dataframe
    assert table.value["rank"].tolist() == [16, 20]
    assert len(at.get("plotly_chart")) == 2


def test_a_live_run_says_what_is_still_to_come():
    rows = made(epochs=2, loss=[None, 6.0], gradient_stable_rank=[None, 3.0])
    at = drawn(rows, running=True)
    assert "2 of the 3 checkpoints" in words(at)
    cards = {metric.label: metric.value for metric in at.metric}
    assert (cards["Switch epoch E"], cards["Training loss"]) == ("not yet", "6.000")
    assert len(at.get("plotly_chart")) == 3  # there is no drift yet
    assert "Not converged yet: 1 of 2" in words(drawn(made(), running=True))


def test_chosen_layers_are_drawn():
    at = drawn(made())
    at.multiselect(key="stable_layers").set_value(["a"]).run()
    assert "Stable rank · a" in words(at)
    at.multiselect(key="stable_layers").set_value([]).run()
    assert not at.exception
    assert "No layer is chosen" in words(at)


@pytest.mark.parametrize(
    "rows",
    [
        made().head(0),
        made().head(1),
        made().tail(1),
        pd.DataFrame({"label": ["a"], "status": ["failed"], "message": ["no"]}),
        made().assign(stable_rank=None, smoothed=None, drift=None, rank=None, scale=None),
        made().assign(layer=[f"a*b_{i}$[x]<b>" for i in range(12)]),
        pd.concat([made().assign(layer=made()["layer"] + f".{i}") for i in range(60)]),
        made().assign(least_steps=100, most_steps=1000),
    ],
    ids=["none", "one", "silent", "failed", "nulls", "markdown", "many", "uneven"],
)
@pytest.mark.parametrize("running", [True, False])
def test_it_survives(rows, running):
    drawn(rows, running=running)


def test_uneven_checkpoints_are_said():
    assert "drift is per checkpoint" in words(drawn(made().assign(least_steps=1, most_steps=5)))
