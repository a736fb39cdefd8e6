"""Shrinkage against Ledoit and Wolf's own estimate from the samples, and what it must not touch."""

import pytest
import torch

from analysis.numerics.shrinkage import CHOICES, ledoit_wolf_intensity, shrunk
from tests.analysis.compress.calibrated import inputs, normal

pytestmark = pytest.mark.usefixtures("one_thread")


def from_samples(X):
    """Ledoit and Wolf's ρ = b²/d² with b² from the spread of the outer products x xᵀ themselves."""
    n, tokens = X.shape
    X = X / (X.square().sum(1, keepdim=True) / tokens).sqrt()
    S = X @ X.T / tokens
    d2 = float((S - torch.eye(n, dtype=S.dtype)).square().sum())
    b2 = sum(float((torch.outer(x, x) - S).square().sum()) for x in X.T) / tokens**2
    return min(b2, d2) / d2


@pytest.mark.parametrize("tokens", [40, 80, 300])
@pytest.mark.parametrize("outliers", [1.0, 1000.0])
def test_the_intensity_is_near_that_of_ledoit_and_wolf_for_gaussian_samples(tokens, outliers):
    X = inputs(80, tokens, seed=tokens, outliers=outliers)
    found = ledoit_wolf_intensity(X @ X.T / tokens, tokens)
    assert found == pytest.approx(from_samples(X), rel=0.1)
    assert 0 < found < 1


def test_more_tokens_shrink_less_and_noise_shrinks_to_its_diagonal():
    found = [
        ledoit_wolf_intensity(X @ X.T / X.shape[1], X.shape[1])
        for X in (inputs(30, tokens) for tokens in (5, 20, 100, 1000, 20000))
    ]
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.01
    noise = normal(60, 40)
    assert ledoit_wolf_intensity(noise @ noise.T / 40, 40) > 0.9
    one = normal(30, 1)
    assert ledoit_wolf_intensity(one @ one.T, 1) > 0.9


@pytest.mark.parametrize("tokens", [1, 5, 39])
def test_every_channel_keeps_its_power_and_directions_never_seen_get_some(tokens):
    X = inputs(20, tokens, outliers=1000.0)
    G = X @ X.T / tokens
    G = (G + G.T) / 2
    found = shrunk(G, tokens)
    torch.testing.assert_close(found.diagonal(), G.diagonal(), rtol=1e-14, atol=0)
    assert torch.equal(found, found.T)
    scale = found.diagonal().sqrt()
    assert float(torch.linalg.eigvalsh(found / scale / scale[:, None])[0]) > 1e-3


def test_the_unit_of_a_channel_says_nothing():
    G, unit = inputs(12, 8) @ inputs(12, 8).T, normal(12, seed=1).exp()
    scaled = shrunk(unit[:, None] * G * unit, 8)
    torch.testing.assert_close(scaled, unit[:, None] * shrunk(G, 8) * unit, rtol=1e-12, atol=1e-14)


def test_dead_channels_stay_dead_and_do_not_count():
    X = inputs(12, 8)
    G = torch.zeros(15, 15, dtype=torch.float64)
    G[:12, :12] = X @ X.T / 8
    found = shrunk(G, 8)
    torch.testing.assert_close(found[:12, :12], shrunk(G[:12, :12], 8))
    assert not found[12:].any()
    assert torch.equal(shrunk(torch.zeros(3, 3), 2), torch.zeros(3, 3, dtype=torch.float64))


def test_the_choices():
    X = inputs(10, 12)
    G = X @ X.T / 12
    assert torch.equal(shrunk(G, 12, "none"), G)
    wanted = G + 1e-3 * G.trace() / 10 * torch.eye(10, dtype=G.dtype)
    assert torch.equal(shrunk(G, 12, "ridge"), wanted)
    assert torch.equal(shrunk(G, 19), shrunk(G, 19, "ledoit_wolf"))
    assert torch.equal(shrunk(G, 20), G)
    before = G.clone()
    for how in CHOICES:
        shrunk(G, 3, how)
    assert torch.equal(G, before)


@pytest.mark.parametrize(
    ("tokens", "how", "words"),
    [(5, "oas", "a shrinkage of auto, none, ridge, ledoit_wolf, got 'oas'"), (0, "auto", "one")],
)
def test_a_mistake_is_named(tokens, how, words):
    with pytest.raises(ValueError, match=words):
        shrunk(torch.eye(3), tokens, how)
