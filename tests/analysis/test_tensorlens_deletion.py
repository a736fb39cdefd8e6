"""The deletion test against a transparent repetition, planted cases, and the bootstrap."""

import pytest
import torch

from analysis.networks.lens import deletion as module
from analysis.networks.lens.contributions import contributions
from analysis.networks.lens.deletion import contributed, deletion, target_of
from analysis.networks.lens.freezing import freeze
from analysis.numerics.attention_rollout import attention_rollout
from analysis.numerics.paired_interval import paired_interval
from tests.analysis.tiny_transformers import CLASSES, tiny, window

HEADED = [name for name in CLASSES if name != "encoder"]


def repeated(network, ids, position, order, frozen):
    """The drop after each deletion, one model call at a time."""
    table = network.get_input_embeddings()
    embedded = table(ids).clone()
    found = []
    with torch.no_grad():
        for deleted in [None, *order]:
            if deleted is not None:
                embedded[deleted] = table.weight.mean(0)
            output = network(inputs_embeds=embedded[None])
            if frozen.logits is None:
                y = frozen.hidden[position]
                found.append(output.last_hidden_state[0, position] @ y / (y @ y))
            else:
                logits = output.logits.flatten(0, -2)
                row = 0 if frozen.readout is not None else position
                found.append(logits[row, frozen.logits[row].argmax()])
    return found[0] - torch.stack(found)


@pytest.mark.parametrize("family", CLASSES)
@pytest.mark.parametrize("position", [None, 6])
def test_curves_equal_one_deletion_at_a_time(family, position):
    network, ids = tiny(family), window(9)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    frozen = freeze(network, ids)
    target = target_of(frozen, position)
    assert target.position == (8 if position is None else 6) or frozen.readout is not None
    place = target.position
    reaching = place + 1 if frozen.causal else 9
    found = deletion(network, ids[None], position, "up", 0)
    assert torch.allclose(found.shares, torch.linspace(0, 1, reaching + 1).double())
    w = torch.zeros(9, 16)
    w[place] = target.w
    scores = {
        "contributions": contributions(frozen.span(), w).along[place],
        "rollout": attention_rollout(frozen.patterns)[place],
    }
    for name, score in scores.items():
        order = score[:reaching].argsort(descending=True)
        expected = repeated(network, ids, place, order, frozen).double()
        assert torch.allclose(getattr(found, name)[0], expected, atol=2e-5)
        area = (expected[1:] + expected[:-1]).mean() / 2
        assert found.area(getattr(found, name))[0].item() == pytest.approx(area.item(), abs=2e-5)


@pytest.mark.parametrize("family", HEADED)
def test_the_transposed_run_gives_the_contributions_of_one_row(family):
    frozen = freeze(tiny(family), window(9))
    target = target_of(frozen, 5)
    w = torch.zeros(9, 16)
    w[target.position] = target.w
    expected = contributions(frozen.span(), w).along[target.position]
    assert torch.allclose(contributed(frozen, target).double(), expected, atol=1e-5)


def test_every_order_ends_at_the_same_drop_and_random_ones_are_averaged():
    found = deletion(tiny("llama"), torch.stack([window(20, s) for s in range(3)]), None, "up", 0)
    assert found.shares.shape == (17,)
    for drops in (found.contributions, found.rollout, found.random):
        assert drops.shape == (3, 17)
        assert (drops[:, 0] == 0).all()
        assert torch.allclose(drops[:, -1], found.rollout[:, -1], atol=1e-5)
    again = deletion(tiny("llama"), window(20)[None], None, "up", 0)
    assert torch.equal(again.random[0], found.random[0])
    other = deletion(tiny("llama"), window(20)[None], None, "up", 1)
    assert not torch.equal(again.random, other.random)
    assert torch.equal(again.contributions, other.contributions)


def test_a_token_that_decides_alone_is_deleted_first():
    """Without attention and feed-forward only the target's own token moves its logit."""
    network = tiny("llama")
    with torch.no_grad():
        for block in network.model.layers:
            block.self_attn.o_proj.weight.zero_()
            block.mlp.down_proj.weight.zero_()
    windows = torch.stack([window(16, s) for s in range(6)])
    found = deletion(network, windows, None, "up", 0)
    last = found.contributions[:, -1:]
    assert torch.allclose(found.contributions[:, 1:], last.expand(-1, 16), atol=1e-5)
    assert torch.allclose(found.area(found.contributions), last[:, 0] * (1 - 1 / 32), atol=1e-5)
    gain = found.area(found.contributions) - found.area(found.random)
    mean, low, _ = paired_interval(gain, 0)
    assert mean > low > 0


def test_what_is_measured_does_not_depend_on_how_many_run_at_once(monkeypatch):
    network, ids = tiny("gpt2"), window(12)
    whole = deletion(network, ids[None], None, "up", 0)
    monkeypatch.setattr(module, "ENTRIES", 1)
    single = deletion(network, ids[None], None, "up", 0)
    assert torch.allclose(whole.random, single.random, atol=1e-5)


def test_each_window_is_reported():
    said = []
    deletion(tiny("llama"), torch.stack([window(4), window(4, 1)]), None, "up", 0, said.append)
    assert said == [1, 2]


def test_the_interval_covers_the_mean_as_often_as_it_says():
    generator = torch.Generator().manual_seed(0)
    hits = 0
    for seed in range(200):
        _, low, high = paired_interval(torch.randn(50, generator=generator) + 3, seed)
        hits += low <= 3 <= high
    assert 0.95 - 4 * (0.95 * 0.05 / 200) ** 0.5 <= hits / 200 < 1


def test_the_interval_is_that_of_a_normal_mean():
    values = torch.randn(400, generator=torch.Generator().manual_seed(1)).double()
    mean, low, high = paired_interval(values, 0)
    error = values.std().item() / 20
    assert mean == pytest.approx(values.mean().item())
    assert low == pytest.approx(mean - 1.96 * error, abs=0.3 * error)
    assert high == pytest.approx(mean + 1.96 * error, abs=0.3 * error)
    assert paired_interval(values, 0) == (mean, low, high)


def test_one_pair_has_no_interval_and_none_is_refused():
    mean, low, high = paired_interval(torch.ones(1), 0)
    assert mean == 1
    assert low != low
    assert high != high
    with pytest.raises(ValueError, match="expected at least one pair"):
        paired_interval(torch.ones(0), 0)
