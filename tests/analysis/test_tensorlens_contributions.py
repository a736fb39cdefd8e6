"""Contributions, probes and rollout against the materialised tensor and exact sums."""

import pytest
import torch

from analysis.networks.lens import contributions as module
from analysis.networks.lens.contributions import contributions, frobenius
from analysis.networks.lens.freezing import freeze
from analysis.numerics.attention_rollout import attention_rollout
from tests.analysis.kronecker import built
from tests.analysis.tiny_transformers import FAMILIES, tiny, window


def blocks_of(family, seed, length=5):
    """The exact blocks T_ij as (L, L, D, D), with the span."""
    network, ids = tiny(family, seed, torch.float64), window(length, seed)
    naive, _ = built(family, network, ids)
    return freeze(network, ids).span(), naive.T.view(length, 16, length, 16).transpose(1, 2), naive


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_they_are_the_blocks_times_the_tokens(family, seed, monkeypatch):
    span, T, naive = blocks_of(family, seed)
    w = torch.randn(5, 16, dtype=torch.float64, generator=torch.Generator())
    c = torch.einsum("ijab,jb->ija", T, span.X)
    y, b = naive.x.view(5, 16), naive.b.view(5, 16)
    squared = y.square().sum(-1)
    close = {"rtol": 1e-6, "atol": 1e-6}  # the real RMSNorm computes in float32
    for entries in (1, 2 * 5 * 64, 1 << 24):  # one source at a time, two, all
        monkeypatch.setattr(module, "ENTRIES", entries)
        found = contributions(span, w)
        assert torch.allclose(found.norm, c.norm(dim=-1), **close)
        assert torch.allclose(
            found.share, torch.einsum("ija,ia->ij", c, y) / squared[:, None], **close
        )
        assert torch.allclose(found.along, torch.einsum("ija,ia->ij", c, w), **close)
        assert torch.allclose(found.bias_norm, b.norm(dim=-1), **close)
        assert torch.allclose(found.bias_share, (b * y).sum(-1) / squared, **close)
        assert torch.allclose(found.bias_along, (b * w).sum(-1), **close)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("bounds", [(0, None), (1, None), (0, 1)])
def test_shares_and_bias_sum_to_one(family, bounds):
    span = freeze(tiny(family), window(20)).span(*bounds)
    found = contributions(span, None)
    assert torch.allclose(found.share.sum(1) + found.bias_share, torch.ones(20).double(), atol=1e-5)
    assert found.along is None
    assert found.bias_along is None


@pytest.mark.parametrize("family", FAMILIES)
def test_contributions_and_bias_sum_to_the_logit(family):
    network, ids = tiny(family), window(20)
    frozen = freeze(network, ids)
    predicted = frozen.logits.argmax(-1)
    w, k = frozen.directions(predicted)
    found = contributions(frozen.span(), w)
    with torch.no_grad():
        real = network(ids[None]).logits[0].max(-1).values.double()
    assert torch.allclose(found.along.sum(1) + found.bias_along + k, real, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_upper_triangle_of_a_decoder_is_exactly_zero(family):
    frozen = freeze(tiny(family), window(20))
    found = contributions(frozen.span(), frozen.directions(window(20))[0])
    estimated, error = frobenius(frozen.span(), 3, 0)
    upper = torch.stack([found.norm, found.share, found.along, estimated, error]).triu(1)
    assert (upper.abs().max() == 0) == frozen.causal


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_probes_come_within_four_of_their_errors(family, seed):
    span, T, _ = blocks_of(family, seed)
    exact = T.flatten(2).norm(dim=-1)
    rho = exact**4 / (T.transpose(-1, -2) @ T).flatten(2).norm(dim=-1) ** 2
    probes = 64
    relative = (2 / (probes * rho)).sqrt() / 2
    found, error = frobenius(span, probes, seed)
    there = exact > 0
    assert ((found - exact).abs()[there] <= 4 * (relative * exact)[there]).all()
    # A sample's deviation from 64 values of chi-square(1) scatters by a quarter (kurtosis 15).
    assert 0.6 < ((error / exact)[there] / relative[there]).median() < 1.4


def test_the_same_seed_gives_the_same_estimate():
    span = freeze(tiny("llama"), window(6)).span()
    first, other = frobenius(span, 2, 3)[0], frobenius(span, 2, 4)[0]
    assert torch.equal(first, frobenius(span, 2, 3)[0])
    assert not torch.equal(first, other)


def test_one_probe_has_no_error():
    span = freeze(tiny("llama"), window(4)).span()
    error = frobenius(span, 1, 0)[1]
    assert error.tril().isnan().sum() == 10
    assert (error.triu(1)[error.triu(1) == 0].numel()) > 0


def test_the_errors_are_those_of_the_sample():
    span = freeze(tiny("gpt2"), window(4)).span()
    generator = torch.Generator().manual_seed(7)
    q = []
    for _ in range(5):
        z = torch.randn(4, 16, generator=generator, dtype=torch.float64).float()
        q.append([[span.apply(_only(z, j))[i].square().sum() for j in range(4)] for i in range(4)])
    q = torch.tensor(q, dtype=torch.float64)
    found, error = frobenius(span, 5, 7)
    assert torch.allclose(found, q.mean(0).sqrt(), rtol=1e-5)
    expected = q.std(0) / 5**0.5 / (2 * q.mean(0).sqrt())
    assert torch.allclose(error, expected.nan_to_num(), rtol=1e-4)


def _only(z, j):
    stream = torch.zeros_like(z)
    stream[j] = z[j]
    return stream


def test_every_source_is_reported_once():
    said = []
    span = freeze(tiny("llama"), window(6)).span()
    contributions(span, None, said.append)
    frobenius(span, 3, 0, said.append)
    assert sum(said) == 6 * (1 + 3)


def test_rollout_is_the_product_of_averaged_patterns():
    first = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]])
    second = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]])
    a = torch.tensor([[1.0, 0.0], [0.25, 0.75]], dtype=torch.float64)
    assert torch.allclose(attention_rollout([first]), a)
    rolled = attention_rollout([first, second])
    assert torch.allclose(rolled, a @ a)
    frozen = freeze(tiny("bert"), window(9))
    rows = attention_rollout(frozen.patterns)
    assert torch.allclose(rows.sum(1), torch.ones(9).double(), atol=1e-6)
    assert not torch.allclose(rows, attention_rollout(frozen.patterns[::-1]))
