"""On the bundled sample: eighty steps of training give back much of what a compression took."""

import pytest
import torch

from analysis import sample
from analysis.trial import Params
from tests.analysis.compress.staged import Staged, ranked

STEPS = 80
RATE = 1e-4  # at ten times as much the dense model itself gets worse
# Short windows, many of them: a step costs a quarter, and no text is seen more than twice.
TEXT = {"calibration_windows": 320, "calibration_length": 64, "windows": 48, "window": 256}


@pytest.fixture(scope="module")
def row(tmp_path_factory):
    # Two threads on cores that others use as well wait for each other, and take many times as long.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    params = Params(speed=False, gradient="none", recovery_steps=STEPS, recovery_lr=RATE, **TEXT)
    stages = Staged(sample.MODEL, params, tmp_path_factory.mktemp("sample"))
    yield stages.row(ranked("whitened_svd", 0.4, "uniform"))
    torch.set_num_threads(before)


def perplexity(nats):
    return float(torch.tensor(nats, dtype=torch.float64).exp())


def test_a_third_of_the_gap_in_perplexity_is_closed(row):
    before, dense = perplexity(row.recovered), row.dense_perplexity
    assert before > 1.5 * dense
    assert before - row.perplexity >= 0.3 * (before - dense)
    assert row.score > row.dense_score
    assert len(row.losses) == STEPS


def test_the_dense_model_that_was_trained_as_long_stands_beside_it(row):
    assert len(row.control_losses) == STEPS
    assert row.control < row.score
    # It had less to gain: what training gave the factors is not what it gives any model.
    assert row.dense_score - row.control < 0.5 * (row.recovered - row.score)
