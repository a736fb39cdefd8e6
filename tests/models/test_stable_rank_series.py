"""Stable ranks over a real run: they fall, and rise again."""

import numpy as np
import pytest
import torch

from analysis.registry import Quiet
from analysis.stable_rank import Params, stable_rank
from analysis.weights.checkpoints import Series
from analysis.weights.opening import open_model
from tests.models.folders import FOLDER, needs

RUN = FOLDER / "series_llama_char"
pytestmark = [pytest.mark.models, needs(RUN.name)]


@pytest.fixture(scope="module")
def series():
    return Series(open_model(RUN))


@pytest.fixture(scope="module")
def rows(series):
    return list(stable_rank(series, Params(), Quiet()))


def test_each_is_the_decompositions(series, rows):
    found = {(row.step, row.layer): row.stable_rank for row in rows}
    for step in (series.steps[0], series.steps[-1]):
        for matrix in series.matrices(step):
            squares = torch.linalg.svdvals(matrix.dense().double()).square()
            expected = float(squares.sum() / squares[0])
            assert found[step, matrix.label.layer] == pytest.approx(expected, rel=1e-6)


def test_the_mean_falls_and_rises_again(series, rows):
    having = [row for row in rows if row.state != "no say"]
    means = [
        float(np.mean([row.stable_rank for row in having if row.step == step]))
        for step in series.steps
    ]
    lowest = int(np.argmin(means))
    assert 0 < lowest < len(means) - 1
    assert means[0] > 2 * means[lowest]
    assert means[-1] > 1.2 * means[lowest]


def test_eight_uneven_checkpoints_are_too_few_and_say_so(rows):
    assert {row.state for row in rows} == {"too few checkpoints", "no say"}
    assert {(row.least_steps, row.most_steps) for row in rows} == {(100, 1000)}
