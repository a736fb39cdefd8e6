"""A value that is not finite fails the trial and names its layer: there is no row."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from analysis.compress.forms import TwoFactor
from analysis.compress.pieces import NonFiniteLayer
from analysis.compress.trials.specs import Spec
from analysis.networks.opened import OpenedModel
from analysis.registry import Quiet
from analysis.trial import trial
from tests.analysis.compress.staged import by_hand, ranked, staged

pytestmark = pytest.mark.usefixtures("one_thread")
UP = "model.layers.1.mlp.up_proj.weight"


def planted(folder, change, family="tied", **settings):
    """Stages of a model with one changed tensor, all of it."""
    stages = staged(folder, family, **settings)
    plant(stages, change)
    return stages


def plant(stages, change, name=UP):
    path = stages.folder.parent / "model/model.safetensors"
    tensors = load_file(path)
    tensors[name] = change(tensors[name])
    save_file(tensors, path, metadata={"format": "pt"})
    layers = stages.opened.layers
    stages.opened = replace(OpenedModel.open(stages.folder.parent / "model"), layers=layers)


def with_nan(W):
    W = W.clone()
    W.view(-1)[5] = torch.nan
    return W


@pytest.mark.parametrize("spec", [ranked("svd", 0.6), ranked("svd", 1.0), Spec("rtn")])
def test_nan_in_one_weight_fails_whatever_is_asked(tmp_path, spec):
    stages = planted(tmp_path, with_nan)
    with pytest.raises(NonFiniteLayer, match=r"blocks\.1\.up: its output"):
        stages.row(spec)


@pytest.mark.parametrize("spec", [ranked("svd", 0.6), ranked("svd", 1.0), Spec("mpo", kept=0.7)])
def test_nan_that_comes_after_the_stages_fails_the_trial_alone(tmp_path, spec):
    """Each stage looks for itself: none relies on what was found before."""
    stages = staged(tmp_path, "tied")
    given = stages.given(spec, weights=tmp_path / "saved")
    plant(stages, with_nan, "model.layers.0.input_layernorm.weight")
    given = replace(given, opened=stages.opened)
    with pytest.raises(NonFiniteLayer, match=r"layers\.0\.input_layernorm|blocks\.0\.input"):
        list(trial(given, Quiet()))
    assert not (tmp_path / "saved").exists()


def test_each_stage_names_the_layer(tmp_path):
    stages = planted(tmp_path, with_nan)
    bare = staged(tmp_path / "other", "tied")
    with pytest.raises(NonFiniteLayer, match=r"blocks\.1\.up: its weight"):
        stages.factors("two_sided_svd", bare.statistics())
    with pytest.raises(NonFiniteLayer, match=r"blocks\.1\.up: its output"):
        stages.statistics()
    with pytest.raises(NonFiniteLayer, match=r"blocks\.1\.up: its output"):
        stages.dense()
    left = {path.parent.name for path in stages.folder.glob("*/*")}
    assert left <= {"two_sided_svd block 0"}  # whose matrices are finite


def test_an_activation_that_overflows_names_the_layer(tmp_path):
    stages = planted(tmp_path, lambda W: W.sign() * 3e38)
    with pytest.raises(NonFiniteLayer, match=r"blocks\.1\.up"):
        stages.row(ranked("svd", 0.6))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_an_activation_of_the_compressed_model_alone(tmp_path, monkeypatch, value):
    stages = staged(tmp_path, "tied")
    given = stages.given(by_hand("svd", {"blocks.0.down": 4, "blocks.1.q": 4}))
    forward = TwoFactor.forward

    def spoilt(self, x):
        y = forward(self, x).clone()
        if self.in_features == 24:  # `down` alone
            y[..., 2, 1] = value
        return y

    monkeypatch.setattr(TwoFactor, "forward", spoilt)
    with pytest.raises(NonFiniteLayer, match=r"blocks\.0\.down: its output"):
        list(trial(given, Quiet()))


def test_a_factor_beyond_the_dtype_of_the_file(tmp_path):
    # Each entry is a half; their largest singular value, 3e4 √(16·24), is not.
    stages = planted(tmp_path, lambda W: torch.full_like(W, 3e4), "half")
    spec = by_hand("svd", {"blocks.1.up": 3})
    with pytest.raises(NonFiniteLayer, match=r"blocks\.1\.up: its form in torch\.float16"):
        stages.row(spec)


def test_training_that_diverges(tmp_path):
    stages = staged(tmp_path, "tied", recovery_steps=6, recovery_lr=1e30)
    spec = ranked("svd", 0.6)
    stages.params = replace(stages.params, recovery_steps=0)
    given = stages.given(spec)
    given = replace(given, params=replace(stages.params, recovery_steps=6))
    with pytest.raises(NonFiniteLayer):
        list(trial(given, Quiet()))
