"""What a method says where it cannot give factors: no calibration, no loss, values not finite."""

import pickle

import pytest
import torch

from analysis.compress.pieces import NonFiniteLayer
from analysis.compress.registry import find
from analysis.registry import AnalysisError
from tests.analysis.compress.calibrated import factors, inputs, layer, normal, piece, statistics

NAMES = ["svd", "fwsvd", "asvd", "whitened_svd", "two_sided_svd", "welore"]


@pytest.mark.parametrize("name", ["fwsvd", "asvd", "whitened_svd", "two_sided_svd"])
def test_without_a_calibration_a_method_says_what_to_do(name):
    with pytest.raises(AnalysisError, match=rf"^{name} .* blocks\.0\.q .*calibrate the model on"):
        factors(name, piece(normal(4, 5)))
    assert find(name).needs


@pytest.mark.parametrize("name", ["fwsvd", "two_sided_svd"])
def test_without_a_loss_a_method_says_what_to_do(name):
    given = piece(normal(4, 5), statistics(inputs(5, 30)))
    with pytest.raises(AnalysisError, match=rf"^{name} .*gradients .* blocks\.0\.q.*whitened_svd"):
        factors(name, given)


@pytest.mark.parametrize("name", [*NAMES, "laser"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_not_finite_is_named(name, value):
    given, _, _ = layer(6, 8)
    damaged = given.W.clone()
    damaged[3, 4] = value
    with pytest.raises(NonFiniteLayer, match=r"^blocks\.1\.up: its weight holds NaN") as caught:
        factors(name, piece(damaged, given.statistics, "blocks.1.up"))
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.layer, str(again)) == ("blocks.1.up", str(caught.value))


@pytest.mark.parametrize("name", ["fwsvd", "asvd", "whitened_svd", "two_sided_svd"])
def test_a_calibration_that_is_not_finite_is_named(name):
    X, Y = inputs(8, 10), inputs(6, 10)
    X[2, 3] = torch.nan
    given = piece(normal(6, 8), statistics(X, Y, squared=X.square().sum(1)))
    with pytest.raises(NonFiniteLayer, match=r"^blocks\.0\.q: its calibration holds NaN"):
        factors(name, given)
