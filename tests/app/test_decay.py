import numpy as np
import pytest

from app.plots import decay
from app.plots.decay import Axes, Curve
from app.plots.figure import MOST_POINTS, Mark

LAYER = {
    "mp_edge": 2.0,
    "mp_spikes": 3,
    "gavish_donoho_rank": 2,
    "welore_rank": 5,
    "noise_floor": 0.5,
}


def curve(values, name="blocks.0.v"):
    values = np.asarray(values, float)
    return Curve(name, np.arange(1, len(values) + 1.0), values, len(values))


def test_one_decay_is_drawn_as_it_is():
    figure = decay.one_decay(curve([4, 2, 1]), {}, [], Axes())
    [series] = figure.series
    assert series.x.tolist() == [1, 2, 3]
    assert series.y.tolist() == [4, 2, 1]
    assert figure.y.log


def test_several_decays_are_normalised_by_their_largest_and_their_rank():
    figure = decay.overlaid_decays(
        [curve([4, 2]), curve([10, 5, 1, 1], "b")], Axes(normalised=True)
    )
    first, second = figure.series
    assert first.x.tolist() == [0.5, 1.0]
    assert first.y.tolist() == [1.0, 0.5]
    assert second.x.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert [series.name for series in figure.series] == ["blocks.0.v", "b"]


def test_a_baseline_is_measured_by_the_layers_own_scale():
    baselines = {"shuffled": curve([2, 1])}
    figure = decay.one_decay(curve([4, 2]), baselines, [], Axes(normalised=True))
    assert figure.series[1].y.tolist() == [0.5, 0.25]
    assert figure.series[1].role == "shuffled"


def test_marks_stand_where_their_columns_say():
    found = {m.role: m for m in decay.marks(LAYER, decay.OVERLAYS, {0.95: 7})}
    assert (found["edge"].axis, found["edge"].at) == ("y", 2.0)
    assert "3 above" in found["edge"].text
    assert (found["energy"].at, found["energy"].text) == (7.0, "k95 = 7")
    assert (found["optimal"].axis, found["optimal"].at) == ("x", 2.0)
    assert found["welore"].at == 5.0
    assert (found["floor"].axis, found["floor"].at) == ("y", 0.5)


def test_marks_that_are_not_wanted_or_not_known_are_not_drawn():
    assert decay.marks(LAYER, (), {0.95: 7}) == []
    assert decay.marks({"mp_edge": None, "noise_floor": 0.0}, decay.OVERLAYS, {}) == []


def test_a_wanted_line_that_cannot_be_drawn_says_why():
    bare = {"median_reason": "only 16 of 256 are above the noise floor", "welore_reason": None}
    edge, optimal, welore = decay.missing(bare, ("edge", "optimal", "welore"))
    assert edge == "No noise edge: only 16 of 256 are above the noise floor."
    assert "16 of 256" in optimal
    assert "launch WeLore" in welore
    assert decay.missing({"gavish_donoho_rank": 0}, ("optimal",)) == [
        "The Gavish-Donoho cut keeps no direction."
    ]
    assert decay.missing(LAYER, decay.OVERLAYS) == []


def test_a_floor_far_below_the_curve_is_said_and_not_drawn():
    floor = Mark("y", 1e-9, "rounding floor · 1e-09", "floor")
    figure = decay.one_decay(curve([4, 2]), {}, [floor], Axes())
    assert figure.marks == ()
    assert "below the axis" in figure.caption


@pytest.mark.parametrize("log_index", [True, False])
def test_values_of_zero_have_no_place_on_a_log_axis(log_index):
    figure = decay.one_decay(curve([1, 1e-20, 0]), {}, [], Axes(log_index=log_index))
    assert figure.series[0].y.tolist() == [1.0]
    linear = decay.one_decay(curve([1, 1e-20, 0]), {}, [], Axes(log_value=False))
    assert len(linear.series[0].y) == 3


def test_at_most_256_points_are_drawn():
    figure = decay.one_decay(curve(np.linspace(2, 1, 5000)), {}, [], Axes())
    x = figure.series[0].x
    assert len(x) <= MOST_POINTS
    assert (x[0], x[-1]) == (1, 5000)
