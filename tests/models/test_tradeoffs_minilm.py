"""Trade-offs of a real encoder, against figures found elsewhere."""

import numpy as np
import pytest

from analysis import weights
from analysis.compress.allocation.allocate import Allocator
from analysis.compress.allocation.curves import Curves, Layer
from analysis.numerics.global_threshold import normalised, pruned, solve
from analysis.weights.matrix import Matrix
from tests.models.folders import FOLDER, needs

MINILM = FOLDER / "all-MiniLM-L6-v2-fp16"
pytestmark = [pytest.mark.models, needs(MINILM.name)]


@pytest.fixture(scope="module")
def layers():
    found = []
    for ref in weights.open_model(MINILM).matrices():
        if ref.label.kind == "linear":
            own = Matrix(weights.load(ref), ref.label, ref.label.layer).spectrum()
            found.append(Layer(own.rows, own.cols, own.values, own.noise_floor))
    return found


def test_the_linear_layers_are_the_encoders(layers):
    assert len(layers) == 36
    assert Curves.of(layers, "two_factor").total == 10_616_832


def test_welore_at_its_own_size_has_the_ranks_of_thirty_per_cent(layers):
    """30 % of the rank is 93.2 % of the parameters, with layers above break-even left dense."""
    scaled = [normalised(layer.values, layer.noise_floor) for layer in layers]
    threshold = solve(scaled, 0.3)
    curves = Curves.of(layers, "two_factor")
    rank = np.array([len(s) - pruned(s, threshold) for s in scaled])
    at = np.minimum(curves.start + rank, curves.dense)
    held = int(curves.cost[at].sum())
    assert held / curves.total == pytest.approx(0.932, abs=5e-4)
    found = Allocator(curves).allocate("welore", -(-held * 10**6 // curves.total) / 10**6)
    # A millionth of the size is eleven numbers: no direction more fits into what was rounded up.
    assert found.at.tolist() == at.tolist()
    assert np.array([pruned(s, found.threshold) for s in scaled]).sum() == (384 - rank).sum()


def test_greedy_loses_least_and_uniform_keeps_the_energy_of_the_mock(layers):
    curves = Curves.of(layers, "two_factor")
    for kept in (0.9, 0.8, 0.6, 0.4, 0.3):
        errors = {
            rule: Allocator(curves).allocate(rule, kept).error
            for rule in ("greedy", "uniform", "energy", "welore")
        }
        assert min(errors, key=errors.get) == "greedy"
    uniform = Allocator(curves, "total").allocate("uniform", 0.6)
    assert 1 - uniform.error**2 == pytest.approx(0.81, abs=0.005)
