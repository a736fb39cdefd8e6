import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from analysis import sample
from analysis.attention_entanglement import Params, attention_entanglement, work
from analysis.networks.errors import BadInput, NotRunnable
from analysis.networks.inputs import Inputs
from analysis.networks.opened import OpenedModel
from analysis.numerics.entanglement.attention_state import is_causal, logit_deviation, state_entropy
from analysis.numerics.entanglement.octaves import (
    bootstrap_interval,
    octave_lengths,
    slope_per_octave,
)
from analysis.registry import Quiet
from tests.analysis.tiny_transformers import tiny


def naive_entropy(A):
    p = np.linalg.svd(np.asarray(A, float), compute_uv=False) ** 2
    p = p[p > 0] / p.sum()
    return float(-(p * np.log(p)).sum())


def saved(folder, family, **settings):
    """A folder with a tiny model, and the token ids of a text."""
    network = tiny(family, **settings)
    network.save_pretrained(folder)
    generator = np.random.default_rng(0)
    np.save(folder / "ids.npy", generator.integers(1, 29, 4000))
    return network, folder


def run(folder, report=None, layers=None, **params):
    model = OpenedModel.open(folder, layers=layers)
    chosen = Params(**({"text": str(folder / "ids.npy"), "windows": 3, "bootstrap": 50} | params))
    found = attention_entanglement(model, Inputs(model, chosen.text), chosen, report or Quiet())
    return {(row.layer, row.head, row.length): row for row in found}


@pytest.mark.parametrize("family", ["gpt2", "llama", "mistral", "qwen3", "bert", "encoder"])
def test_every_head_of_every_family_is_the_naive_svd(tmp_path, family):
    network, folder = saved(tmp_path, family)
    found = run(folder, shortest=8, longest=32)
    ids = torch.from_numpy(np.load(folder / "ids.npy"))[: 3 * 32].view(3, 32)
    own = network.base_model
    heads = (None, *range(4))
    assert set(found) == set(itertools.product(("blocks.0", "blocks.1"), heads, (8, 16, 32)))
    for length in (8, 16, 32):
        cut = ids[:, :length]
        A = own(input_ids=cut, output_attentions=True).attentions
        for block, head in itertools.product(range(2), range(4)):
            expected = [naive_entropy(A[block][w, head].detach().numpy()) for w in range(3)]
            row = found[f"blocks.{block}", head, length]
            assert row.by_window == pytest.approx(expected, abs=1e-5)
            assert row.entropy == pytest.approx(np.mean(row.by_window))
            assert row.maximum == pytest.approx(math.log(length))
            assert 0 <= row.entropy <= row.maximum
            assert row.mask == ("none" if family in ("bert", "encoder") else "causal")
        mean = [found["blocks.0", head, length].entropy for head in range(4)]
        assert found["blocks.0", None, length].entropy == pytest.approx(np.mean(mean))


def test_shorter_windows_are_the_beginnings_of_the_longest(tmp_path):
    _, folder = saved(tmp_path, "llama")
    short, long = run(folder, shortest=8, longest=8), run(folder, shortest=8, longest=32)
    ids = np.load(folder / "ids.npy")
    np.save(folder / "ids.npy", np.concatenate([ids[w * 32 : w * 32 + 8] for w in range(3)]))
    nested = run(folder, shortest=8, longest=8)
    assert nested["blocks.1", 2, 8].by_window == pytest.approx(
        long["blocks.1", 2, 8].by_window, abs=1e-6
    )
    assert short["blocks.1", 2, 8].by_window != pytest.approx(
        long["blocks.1", 2, 8].by_window, abs=1e-6
    )


def test_slopes_are_fits_over_log2_of_the_length(tmp_path):
    _, folder = saved(tmp_path, "gpt2")
    found = run(folder, shortest=4, longest=32)
    rows = [found["blocks.1", 1, length] for length in (4, 8, 16, 32)]
    fitted = np.polyfit([2, 3, 4, 5], [row.entropy for row in rows], 1)[0]
    assert [row.slope for row in rows] == pytest.approx([fitted] * 4)
    assert rows[0].octave is None
    steps = np.diff([row.entropy for row in rows])
    assert [row.octave for row in rows[1:]] == pytest.approx(steps)
    for row in rows:
        assert row.slope_low <= row.slope <= row.slope_high
        assert row.entropy_low <= row.entropy <= row.entropy_high


def test_one_window_has_no_interval_and_one_length_no_slope(tmp_path):
    _, folder = saved(tmp_path, "gpt2")
    row = run(folder, windows=1, shortest=8, longest=15)["blocks.0", 0, 8]
    assert (row.entropy_low, row.slope, row.slope_low, row.octave) == (None,) * 4
    assert row.windows == 1


def test_a_head_that_looks_at_all_alike_is_the_uniform_curve(tmp_path):
    network, folder = saved(tmp_path, "llama")
    with torch.no_grad():
        network.model.layers[0].self_attn.q_proj.weight.zero_()
    network.save_pretrained(folder)
    found = run(folder, shortest=16, longest=64)
    for length in (16, 32, 64):
        row = found["blocks.0", 0, length]
        assert row.entropy == pytest.approx(row.uniform, abs=1e-5)
        assert row.logit_deviation == pytest.approx(0, abs=1e-5)
    assert found["blocks.0", 0, 64].uniform == pytest.approx(1.526647, abs=1e-6)
    assert found["blocks.0", 0, 64].entropy == pytest.approx(1.526647, abs=1e-5)


def test_without_a_mask_uniform_attention_has_no_entropy(tmp_path):
    network, folder = saved(tmp_path, "bert")
    with torch.no_grad():
        network.bert.encoder.layer[0].attention.self.query.weight.zero_()
        network.bert.encoder.layer[0].attention.self.query.bias.zero_()
    network.save_pretrained(folder)
    row = run(folder, shortest=16, longest=16)["blocks.0", 0, 16]
    assert (row.uniform, row.mask) == (0.0, "none")
    assert row.entropy == pytest.approx(0, abs=1e-9)


def test_the_models_positions_limit_the_lengths(tmp_path):
    _, folder = saved(tmp_path, "gpt2")  # 64 positions
    assert {length for _, _, length in run(folder, shortest=16, longest=256)} == {16, 32, 64}
    with pytest.raises(BadInput, match="set shortest to 64 or less"):
        run(folder, shortest=65, longest=256)


def test_only_the_blocks_of_the_chosen_layers(tmp_path):
    _, folder = saved(tmp_path, "llama")
    found = run(folder, layers=["blocks.1.q"], shortest=8, longest=8)
    assert {layer for layer, *_ in found} == {"blocks.1"}
    with pytest.raises(NotRunnable, match=r"none of the chosen layers .* lies in a block"):
        run(folder, layers=["embed"], shortest=8, longest=8)


def test_progress_counts_every_pass(tmp_path):
    _, folder = saved(tmp_path, "llama")
    said = []
    run(folder, report=lambda *call: said.append(call), shortest=8, longest=16)
    assert [call[:2] for call in said] == [(i, 6) for i in range(7)]
    assert said[1][2] == "window 1 of 3, 16 tokens"


def test_a_seed_repeats_the_intervals(tmp_path):
    _, folder = saved(tmp_path, "llama")
    first, again, other = (run(folder, shortest=8, longest=16, seed=s) for s in (1, 1, 2))
    assert first == again
    at = "blocks.0", 0, 16
    assert first[at].entropy_low != other[at].entropy_low
    assert first[at].entropy == other[at].entropy


def test_a_text_that_is_too_short_says_so(tmp_path):
    _, folder = saved(tmp_path, "llama")
    with pytest.raises(BadInput, match="give a longer text, or fewer or shorter windows"):
        run(folder, windows=1000)


def test_models_without_attention_say_so(tmp_path):
    torch.save({"0.weight": torch.randn(4, 3), "1.weight": torch.randn(2, 4)}, tmp_path / "net.pt")
    model = OpenedModel.open(tmp_path / "net.pt", allow_pickle=True)
    with pytest.raises(NotRunnable, match="no decoder or encoder with attention"):
        next(attention_entanglement(model, Inputs(model), Params(), Quiet()))


def test_a_network_that_gives_no_attention_matrices_says_so(tmp_path, monkeypatch):
    _, folder = saved(tmp_path, "llama")
    own = OpenedModel.network

    def blind(self, **kind):
        network = own(self, **kind)
        network.forward = lambda **_: SimpleNamespace(attentions=None)
        return network

    monkeypatch.setattr(OpenedModel, "network", blind)
    with pytest.raises(NotRunnable, match="gives no attention matrices"):
        run(folder, shortest=8, longest=8)


def test_an_encoders_windows_keep_their_closing_token(tmp_path):
    network, folder = saved(tmp_path, "bert")
    ids = np.load(folder / "ids.npy")
    ids[31::32] = 7
    np.save(folder / "ids.npy", ids)
    found = run(folder, shortest=16, longest=32)
    cut = torch.tensor([[*ids[w * 32 : w * 32 + 15], 7] for w in range(3)])
    A = network.base_model(input_ids=cut, output_attentions=True).attentions[1]
    expected = [naive_entropy(A[w, 3].detach().numpy()) for w in range(3)]
    assert found["blocks.1", 3, 16].by_window == pytest.approx(expected, abs=1e-5)


def test_the_work_is_predicted_from_the_header(tmp_path):
    _, folder = saved(tmp_path, "llama")
    source = OpenedModel.open(folder).source
    params = Params(text=str(folder / "ids.npy"), windows=3, shortest=16, longest=256)
    said = work(source, params, ["blocks.0.q", "blocks.1.q"])
    assert said.words == ("3 windows of 16, 32, 64 tokens: 336 token passes, 72 attention matrices")
    assert said.bytes > 4 * source.parameters
    with pytest.raises(NotRunnable):
        work(source, Params(), ["embed"])
    alone = tmp_path / "alone"
    alone.mkdir()
    torch.save({"0.weight": torch.randn(4, 3)}, alone / "net.pt")
    plain = OpenedModel.open(alone / "net.pt", allow_pickle=True).source
    with pytest.raises(NotRunnable, match=r"net.* has no config\.json"):
        work(plain, Params(), ["0"])


def test_the_sample_reads_its_bundled_text():
    model = OpenedModel.open(sample.MODEL, layers=["blocks.0.q"])
    params = Params(windows=2, longest=32)
    rows = list(attention_entanglement(model, Inputs(model), params, Quiet()))
    assert {row.text for row in rows} == {"bundled held-out text"}
    assert all(0 < row.entropy < row.maximum for row in rows)


@pytest.mark.parametrize("seed", [0, 1])
def test_state_entropy_is_the_naive_one(seed):
    logits = torch.from_numpy(np.random.default_rng(seed).standard_normal((3, 2, 17, 17)))
    A = logits.softmax(-1)
    found = state_entropy(A)
    assert found.shape == (3, 2)
    assert found[2, 1].item() == pytest.approx(naive_entropy(A[2, 1]), abs=1e-12)
    assert state_entropy(torch.eye(16)).item() == pytest.approx(math.log(16))


def test_the_spread_of_logits_is_that_of_visible_tokens():
    generator = np.random.default_rng(0)
    logits = torch.from_numpy(0.7 * generator.standard_normal((64, 64)))
    own = math.sqrt(np.mean([row.var(correction=1).item() for row in logits]))
    assert logit_deviation(logits.softmax(1)).item() == pytest.approx(own)
    mask = torch.ones(64, 64).triu(1).bool()
    causal = logits.masked_fill(mask, -math.inf).softmax(1)
    rows = [logits[i, : i + 1] for i in range(64)]
    squares = sum(((row - row.mean()) ** 2).sum().item() for row in rows)
    found = logit_deviation(causal).item()
    assert found == pytest.approx(math.sqrt(squares / sum(len(row) - 1 for row in rows)))
    # Unbiased under the mask, too: 2,016 degrees of freedom, so the error is 0.7/sqrt(4,032).
    assert found == pytest.approx(0.7, abs=3 * 0.7 / math.sqrt(4032))
    assert is_causal(causal)
    assert not is_causal(logits.softmax(1))


def test_octaves():
    assert octave_lengths(16, 128) == [16, 32, 64, 128]
    assert octave_lengths(16, 127) == [16, 32, 64]
    assert octave_lengths(16, 15) == []
    values = np.array([[1.0, 2.5, 3.0], [0.0, 0.0, 6.0]])
    assert slope_per_octave([4, 8, 16], values) == pytest.approx([1.0, 3.0])


def test_the_interval_covers_the_mean_as_often_as_it_says():
    generator, hits = np.random.default_rng(0), 0
    for seed in range(300):
        sampled = generator.standard_normal(20)
        low, high = bootstrap_interval(sampled, draws=500, seed=seed)
        hits += low <= 0 <= high
    # A percentile bootstrap of 20 covers about 92 %; 300 trials have a standard error of 1.6 %.
    assert 0.86 <= hits / 300 <= 0.98


def test_differences_in_one_interval_are_paired():
    generator = np.random.default_rng(0)
    text = 10 * generator.standard_normal(12)  # moves both alike
    low, high = bootstrap_interval(np.stack([text, text + 1], axis=1), draws=200, seed=0)
    assert high - low == pytest.approx([high[0] - low[0]] * 2)
    assert low[1] - low[0] == pytest.approx(1.0)
    assert bootstrap_interval(text[:1], draws=10, seed=0) is None
    assert bootstrap_interval(text, draws=0, seed=0) is None
