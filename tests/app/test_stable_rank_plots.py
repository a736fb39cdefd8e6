"""The figures, the table and the verdict of stable-rank convergence, as numbers."""

import math

import numpy as np
import pandas as pd
import pytest

from app.plots import stable_rank as plots
from app.plots import switch
from app.plots.figure import MOST_POINTS
from app.plots.plotly import render_plotly

SETTING = {
    "ema_window": 2, "tail": 2, "base_threshold": 0.1, "relative_threshold": None, "scaling": 2.5,
    "few": 2, "last": 1, "integer": True, "floor": 0.0, "leading": 0,
}  # fmt: skip
A = {"stable_rank": [12.0, 8.4, 8.2, 8.1], "smoothed": [12, 9.3, 8.5, 8.2],
     "drift": [None, None, 1.7, 0.4], "rank": [24, 16, 16, 16]}  # fmt: skip
B = {"stable_rank": [6.0, 6.5, 6.2, 6.1], "smoothed": [6, 6, 6, 6], "drift": [None, None, 0, 0],
     "rank": [20, 20, 20, 20]}  # fmt: skip
STATES = {"a": ["too few checkpoints"] * 2 + ["not converged"] * 2,
          "b": ["too few checkpoints"] * 2 + ["stable"] * 2}  # fmt: skip


def made(epochs=4, at=None, **extra):
    """Rows of two 30 x 24 layers with a say and an embedding without, epoch by epoch."""
    rows = []
    for e in range(epochs):
        common = {**SETTING, "epoch": float(e), "step": 10 * e, "model_layers": 2,
                  "model_unstable": 2 - (e >= 2), "threshold": 0.25,
                  "model_switch_epoch": at if at and e >= at - 1 else None}  # fmt: skip
        for name, values in (("a", A), ("b", B)):
            rows.append({
                **common, "layer": name, "rows": 30, "cols": 24, "state": STATES[name][e],
                "reason": None, "scale": 2.0, **{k: v[e] for k, v in values.items()},
                "switch_rank": values["rank"][e] if common["model_switch_epoch"] else None,
                **{k: v[e] for k, v in extra.items()},
            })  # fmt: skip
        rows.append({**common, "layer": "embed", "rows": 50, "cols": 24, "state": "no say",
                     "reason": "embedding", "stable_rank": 4.0})  # fmt: skip
    return pd.DataFrame(rows)


def by_name(figure):
    return {series.name: series for series in figure.series}


def test_several_layers_are_drawn_by_epoch_with_the_switch():
    figure = plots.over_epochs(made(at=4), ["a", "embed"])
    found = by_name(figure)
    assert found["a"].x.tolist() == [0, 1, 2, 3]
    assert found["a"].y.tolist() == A["stable_rank"]
    assert found["embed"].y.tolist() == [4.0] * 4
    [mark] = figure.marks
    assert (mark.axis, mark.at, mark.text) == ("x", 4.0, "switch E = 4")
    assert figure.x.high == 4.0  # the mark lies beyond the last epoch
    render_plotly(figure)


def test_one_layer_is_drawn_with_its_smoothed_value():
    figure = plots.over_epochs(made(), ["a"])
    found = by_name(figure)
    assert found["smoothed (of whole numbers)"].y.tolist() == A["smoothed"]
    assert found["smoothed (of whole numbers)"].role == "fit"
    assert figure.marks == ()


def test_rows_of_any_order_give_the_same_curves():
    shuffled = made().sample(frac=1, random_state=0)
    assert by_name(plots.over_epochs(shuffled, ["a"]))["a"].y.tolist() == A["stable_rank"]


def test_drift_stands_beside_its_threshold_on_a_log_axis():
    figure = plots.drift(made(), ["a", "b"])
    found = by_name(figure)
    assert found["a"].x.tolist() == [2, 3]
    assert found["a"].y.tolist() == [1.7, 0.4]
    assert np.isnan(found["b"].y).all()
    assert "0 has no place" in figure.caption
    assert found["threshold"].y.tolist() == [0.25, 0.25]
    assert found["threshold"].role == "edge"
    assert figure.y.log
    assert (figure.y.low, figure.y.high) == (0.25 / 1.6, 1.7 * 1.6)
    render_plotly(figure)


def test_a_relative_drift_says_so():
    rows = made().assign(relative_threshold=0.002)
    assert plots.drift(rows, ["a"]).y.title == "drift, share of the smoothed stable rank an epoch"


def test_before_there_is_a_drift_there_is_no_figure_of_it():
    assert plots.drift(made(epochs=2), ["a"]) is None


def test_training_has_its_loss_and_gradients():
    rows = made(loss=[None, 6.0, 5.0, 4.5], gradient_stable_rank=[None, 3.0, 2.5, 2.0])
    loss = plots.loss(rows)
    assert loss.series[0].x.tolist() == [1, 2, 3]
    assert loss.series[0].y.tolist() == [6.0, 5.0, 4.5]
    gradients = by_name(plots.gradients(rows, ["a", "b"]))
    assert gradients["b"].y.tolist() == [3.0, 2.5, 2.0]
    assert plots.loss(made()) is plots.gradients(made(), ["a"]) is None


@pytest.mark.parametrize(
    ("rows", "running", "kind", "said"),
    [
        (made(epochs=2), True, "few", "2 of the 3 checkpoints"),
        (made(epochs=2), False, "few", "2 of the 3 checkpoints"),
        (made(), True, "open", "Not converged yet: 1 of 2 layers"),
        (made(), False, "open", "Did not converge: 1 of 2 layers"),
        (made(at=4), False, "switched", "could go on with factors from epoch 4"),
    ],
)
def test_the_verdict_tells_too_few_from_not_converged(rows, running, kind, said):
    found = switch.verdict(rows, running=running)
    assert found.kind == kind
    assert said in found.words
    if kind == "open":
        assert "a drifts most (0.400 where 0.250 is allowed)" in found.words


def test_an_uneven_series_says_that_drift_is_per_checkpoint():
    rows = made().assign(least_steps=100, most_steps=1000)
    assert "100 to 1 000 steps apart" in switch.spacing(rows)
    assert plots.over_epochs(rows, ["a"]).x.title == "checkpoint, counted from 0"
    even = made().assign(least_steps=100, most_steps=100)
    assert switch.spacing(even) == switch.spacing(made()) == ""
    assert plots.over_epochs(even, ["a"]).x.title == "epoch"


def test_the_table_gives_each_layers_rank_and_what_its_factors_hold():
    table = switch.ranks(made(at=4)).set_index("layer")
    assert list(table.index) == ["a", "b"]
    a = table.loc["a"]
    assert (a["first"], a["now"], a["xi"]) == (12.0, 8.1, 2.0)
    assert (a["rank"], a["full"]) == (16, 24)
    assert a["parameters"] == pytest.approx(16 * 54 / (30 * 24))
    assert a["saves"] == "no"
    assert a["state"] == "not converged"


def test_before_the_switch_the_table_gives_the_ranks_of_now():
    table = switch.ranks(made(epochs=2))
    assert table["rank"].tolist() == [16, 20]
    assert switch.ranks_title(made(epochs=2)) == "Rank each layer would get if it switched now"
    assert switch.ranks_title(made(at=4)) == "Rank each layer gets at the switch, epoch 4"


def test_kept_parameters_count_layers_that_gain_nothing_as_whole():
    rows = made(at=4)
    rows.loc[rows["layer"] == "a", "switch_rank"] = 4
    assert switch.kept(rows) == pytest.approx((4 * 54 + 720) / 1440)


def test_layers_with_a_say_come_first():
    assert plots.layers(made()) == ["a", "b", "embed"]


def test_points_between_epochs_are_drawn_and_do_not_count():
    rows = made()
    rows.loc[rows["epoch"] == 3, ["epoch", "state", "drift", "smoothed", "threshold"]] = (
        2.5, "between epochs", None, None, None,
    )  # fmt: skip
    rows = rows.assign(model_unstable=rows["model_unstable"])
    assert by_name(plots.over_epochs(rows, ["a"]))["a"].x.tolist() == [0, 1, 2, 2.5]
    assert "drifts most (1.70" in switch.verdict(rows, running=False).words


def test_what_is_missing_is_survived():
    one = made(epochs=1).head(1)
    assert plots.over_epochs(one, ["a"]).series[0].y.tolist() == [12.0]
    assert switch.verdict(one, running=True).kind == "few"
    nulls = made().assign(stable_rank=None, smoothed=None, drift=None, rank=None, scale=None)
    assert plots.over_epochs(nulls, ["a"]) is None
    assert switch.ranks(nulls).empty or switch.ranks(nulls)["rank"].isna().all()
    assert switch.verdict(made().head(0), running=True).kind == "few"
    assert plots.over_epochs(made(), []) is None


def test_long_runs_are_thinned_evenly_and_keep_their_ends():
    epochs = np.arange(2000.0)
    rows = pd.DataFrame({**SETTING, "layer": "a", "epoch": epochs, "stable_rank": epochs + 1,
                         "state": "not converged", "model_switch_epoch": None})  # fmt: skip
    [series, *_] = plots.over_epochs(rows, ["a", "a"]).series
    assert len(series.x) <= MOST_POINTS
    assert (series.x[0], series.x[-1]) == (0, 1999)
    assert np.diff(series.x).max() <= math.ceil(2000 / MOST_POINTS) + 1


def test_the_detectors_setting_in_words():
    assert switch.setting(made()) == (
        "Detector: average over w = 2 epochs, tail of 2, threshold 0.1 an epoch, times 2.5 with 2 "
        "layers left and 5 with 1, on whole stable ranks."
    )
    relative = made().assign(relative_threshold=0.002, integer=False, floor=0.5, leading=3)
    assert switch.setting(relative) == (
        "Detector: average over w = 2 epochs, tail of 2, threshold 0.2 % of the smoothed value an "
        "epoch, times 2.5 with 2 layers left and 5 with 1, on stable ranks as measured, ranks at "
        "least 50 % of full, the first 3 layers left out."
    )


def test_timing_says_what_factors_gain_here():
    assert switch.timing(made()) == ""
    rows = made().assign(speedup=[1.2, 1.7, None] * 4, model_leading=1)
    assert "b gains most, 1.70 times faster" in switch.timing(rows)
    assert "K = 1" in switch.timing(rows)
    slow = made().assign(speedup=[1.2, 1.3, None] * 4, model_leading=2)
    assert "save memory here and no time" in switch.timing(slow)


def test_a_drift_of_zero_alone_is_survived():
    rows = made().assign(threshold=None, drift=[None] * 6 + [0.0] * 6)
    render_plotly(plots.drift(rows, ["a", "b"]))
