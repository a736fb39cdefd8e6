"""WeLore on a real encoder: a rank cut that adds parameters unless something guards it."""

import pytest

from analysis import weights
from analysis.weights.matrix import LayerSpectrum, Matrix
from analysis.welore import Params, welore
from tests.models.folders import FOLDER, needs

MINILM = FOLDER / "all-MiniLM-L6-v2-fp16"
pytestmark = [pytest.mark.models, needs(MINILM.name)]


@pytest.fixture(scope="module")
def spectra():
    found = []
    for ref in weights.open_model(MINILM).matrices():
        if ref.label.kind == "linear":
            matrix = Matrix(weights.load(ref), ref.label, ref.label.layer)
            found.append(LayerSpectrum(ref.label, matrix.spectrum(), matrix.dtype))
    return found


def test_thirty_per_cent_of_the_rank(spectra):
    rows = list(welore(spectra, Params(target_reduction=0.3, cutoff=0.5)))
    assert len(rows) == 36
    assert sum(row.classification == "LRC" for row in rows) == 2
    assert rows[0].model_nominal_reduction == pytest.approx(0.3, abs=1 / 13824)


@pytest.mark.parametrize(("unguarded", "expected"), [(True, 1.070), (False, 0.932)])
def test_the_guard_turns_a_loss_into_a_saving(spectra, unguarded, expected):
    params = Params(target_reduction=0.3, cutoff=0.0, allow_above_break_even=unguarded)
    [row, *_] = welore(spectra, params)
    assert row.model_applied_parameter_ratio == pytest.approx(expected, abs=5e-4)
    assert row.model_nominal_parameter_ratio == pytest.approx(1.070, abs=5e-4)
