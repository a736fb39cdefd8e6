"""On the bundled model and its held-out text: the map is complete and its order of tokens holds."""

import pytest

from analysis import sample
from analysis.networks.inputs import Inputs
from analysis.networks.opened import OpenedModel
from analysis.registry import Quiet
from analysis.tensorlens import Params, tensorlens


def measured(**params):
    model = OpenedModel.open(sample.MODEL)
    chosen = Params(**params)
    return list(tensorlens(model, Inputs(model, chosen.text), chosen, Quiet()))


@pytest.mark.parametrize("gating", ["up", "gate", "half"])
def test_the_map_of_the_sample_is_complete(gating):
    for row in measured(gating=gating, probes=0, spans="each block"):
        assert row.residual <= 1e-5
        assert row.back == 0
    assert row.logit_residual <= 1e-5


def test_contributions_name_what_matters_better_than_chance():
    [row] = measured(length=12, probes=0, deletion_windows=50)
    assert row.deletion_windows == 50
    assert row.over_random_low > 0
    assert row.over_rollout_low < row.over_rollout < row.over_rollout_high  # whichever wins
