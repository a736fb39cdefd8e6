"""TensorLens on real models and real text: complete, and ahead of random orders."""

import pytest

from analysis.networks.inputs import Inputs
from analysis.networks.opened import OpenedModel
from analysis.registry import Quiet
from analysis.tensorlens import Params, tensorlens
from tests.models.folders import FOLDER, needs

STORIES, ENCODER = (FOLDER / name for name in ("stories260k", "all-MiniLM-L6-v2-fp16"))
pytestmark = [pytest.mark.models, needs(STORIES.name, ENCODER.name)]


def measured(path, text, **params):
    model = OpenedModel.open(path)
    chosen = Params(text=str(FOLDER / "eval" / text), **params)
    return next(iter(tensorlens(model, Inputs(model, chosen.text), chosen, Quiet())))


@pytest.mark.parametrize(
    ("path", "text", "windows"),
    [
        (STORIES, "tinystories_1to400.txt", 50),
        (STORIES, "tinyshakespeare_last10pct.txt", 50),
        (ENCODER, "wikitext2_valid_first400k.txt", 20),
    ],
)
def test_complete_and_ahead_of_random_orders(path, text, windows):
    row = measured(path, text, probes=2, deletion_windows=windows, length=24)
    assert row.residual <= 1e-5
    assert row.logit_residual is None or row.logit_residual <= 1e-5
    assert row.over_random_low > 0


def test_a_longer_window_of_the_stories():
    row = measured(STORIES, "tinystories_1to400.txt", length=128, probes=0)
    assert row.residual <= 1e-5
    assert row.share.shape == (128, 128)
