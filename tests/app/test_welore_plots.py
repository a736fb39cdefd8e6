"""WeLore's figures show the classes of the layers and the share that a threshold prunes."""

import numpy as np
import pandas as pd

from app.plots import welore

FOUND = pd.DataFrame({
    "layer": ["a", "b", "c", "embed"],
    "classification": ["LRC", "N-LRC", "LRC", "excluded"],
    "reduction": [0.75, 0.25, 0.5, np.nan],
})  # fmt: skip


def test_low_rank_components_stand_apart_in_the_models_order():
    figure = welore.by_layer(FOUND, 0.5, 0.1)
    assert figure.x.names == ("a", "b", "c")
    low, other = figure.series
    assert (low.name, low.x.tolist(), low.y.tolist()) == ("LRC", [0, 2], [0.75, 0.5])
    assert (other.name, other.x.tolist(), other.y.tolist()) == ("N-LRC", [1], [0.25])
    assert [(mark.axis, mark.at) for mark in figure.marks] == [("y", 0.5)]
    assert "2 of 3 layers" in figure.caption


def test_the_curve_is_the_share_of_the_pooled_values_below_each_threshold():
    scaled = [np.array([1.0, 0.5, 0.0]), np.array([1.0, 0.25, 0.0])]
    [curve] = welore.spread(scaled, 0.3).series
    share = dict(zip(curve.x.round(6), curve.y, strict=True))
    assert share[0.0] == 0.0  # below 0 there is none: s̃ = 0 is pruned by any τ above it
    at = min(share, key=lambda x: abs(x - 0.3))
    assert share[at] == 3 / 6
    assert share[1.0] == 4 / 6
