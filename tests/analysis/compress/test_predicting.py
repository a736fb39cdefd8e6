"""The change of loss that changes of weights are expected to make, against its definition."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis.compress.allocation.together import Directions, Together
from analysis.compress.pieces import TokenSample
from analysis.compress.trials.factoring import factor_stage
from analysis.compress.trials.predicting import change, factored, predicted
from analysis.compress.trials.targets import heads_of
from analysis.registry import Quiet
from tests.analysis.compress.calibrated import layer, normal
from tests.analysis.compress.staged import ranked, staged

T = 30


def sample(m, n, name="tokens", seed=0, calls=1):
    X, g = normal(calls, T, n, seed=seed).float(), normal(calls, T, m, seed=seed + 1).float()
    return TokenSample(name, X, g)


def known(m, n, seed=0, **more):
    given, _, _ = layer(m, n)
    found = sample(m, n, seed=seed, **more)
    return replace(given.statistics, sample=found, slope=normal(m, n, seed=seed + 2).float())


@pytest.mark.parametrize("gradient", ["full", "diagonal", "scalar"])
def test_without_tokens_the_curvature_is_a_trace(gradient):
    given, _, _ = layer(5, 7, gradient=gradient)
    lost, A = normal(5, 7, seed=9), given.statistics.gradient
    whole = A if A.ndim == 2 else torch.diag(A.expand(5))
    expected = 0.5 * float(torch.trace(whole @ lost @ given.statistics.gram @ lost.T))
    assert factored(lost, given.statistics) == pytest.approx(expected, rel=1e-12)
    found = change(lost, given.statistics)
    assert (found.curvature, found.slope, found.z) == (pytest.approx(expected), 0.0, None)


def test_without_gradients_nothing_is_predicted():
    given, _, _ = layer(5, 7)
    lost = normal(5, 7)
    bare = replace(given.statistics, gradient=None)
    assert change(lost, bare) is change(lost, None) is None
    with pytest.raises(ValueError, match="expected gradients"):
        factored(lost, bare)


@pytest.mark.parametrize("calls", [1, 3])
def test_with_tokens_it_is_over_them_one_after_the_other(calls):
    of, lost = known(5, 7, calls=calls), normal(5, 7, seed=9)
    found = change(lost, of)
    z = [
        sum(
            float(of.sample.g[c, t].double() @ lost @ of.sample.X[c, t].double())
            for c in range(calls)
        )
        for t in range(T)
    ]
    assert found.z.tolist() == pytest.approx(z, rel=1e-12)
    assert found.curvature == pytest.approx(0.5 * sum(v * v for v in z) / T, rel=1e-12)
    assert found.slope == pytest.approx(-float((of.slope.double() * lost).sum()), rel=1e-12)


def test_layers_of_the_same_tokens_are_added_up_before_they_are_squared():
    shapes = {"a": (5, 7), "b": (4, 6), "c": (3, 3), "d": (6, 2)}
    names = {"a": "one", "b": "one", "c": "other"}
    of = {
        layer: known(*shape, seed=10 * i, name=names.get(layer, ""))
        for i, (layer, shape) in enumerate(shapes.items())
    }
    of["d"] = replace(of["d"], sample=None)
    lost = {layer: normal(*shape, seed=7) for layer, shape in shapes.items()}
    changes = {layer: change(lost[layer], of[layer]) for layer in shapes}
    found = predicted(changes)
    z = {layer: of[layer].sample.along(lost[layer]) for layer in "abc"}
    slopes = {layer: changes[layer].slope for layer in shapes}
    pair = 0.5 * float((z["a"] + z["b"]).square().mean()) + slopes["a"] + slopes["b"]
    assert found["a"] + found["b"] == pytest.approx(pair, rel=1e-12)
    both = 0.5 * float((z["a"] * z["b"]).mean())
    assert found["a"] - slopes["a"] == pytest.approx(changes["a"].curvature + both, rel=1e-12)
    for name in "cd":  # of other tokens, and of none
        alone = changes[name].curvature + slopes[name]
        assert found[name] == pytest.approx(alone, rel=1e-12)
    assert predicted({}) == {}


@pytest.mark.parametrize("method", ["whitened_svd", "two_sided_svd", "svd"])
def test_what_rows_of_factors_predict_is_what_the_trial_does(tmp_path, method):
    """The pages know the rows alone; the trial has the matrices that are saved."""
    stages = staged(tmp_path, "gpt2")
    made = stages.made(ranked(method, 0.6))
    rows, groups = {}, stages.groups()
    for name, refs in groups.items():
        heads, statistics = heads_of(stages.opened), stages.statistics()[name]
        found = factor_stage(refs, method, statistics, heads, tmp_path / name, Quiet())
        rows |= {row.layer: row for row in found}
    chosen = [one for one in made.results if one.layer in rows]
    of = [rows[one.layer] for one in chosen]
    asked = Together(
        [np.asarray(row.expected) for row in of],
        [Directions(r.sample, np.asarray(r.levels, dtype=int), r.directions) for r in of],
    )
    rank = np.array([one.rank or 0 for one in chosen])
    dense = np.array([one.dense for one in chosen])
    assert dense.any()
    assert not dense.all()
    slopes = [0 if d else r.first_order[k] for r, k, d in zip(of, rank, dense, strict=True)]
    shares = asked.shares(rank, dense) + np.array(slopes)
    # Directions are in float16, and the saved factors in float32.
    scale = np.abs(shares).max()
    assert shares.tolist() == pytest.approx([one.predicted for one in chosen], abs=2**-8 * scale)
    assert made.predicted == pytest.approx(shares.sum(), abs=2**-8 * scale)
