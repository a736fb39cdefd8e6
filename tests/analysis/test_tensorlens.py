"""The analysis on tiny models on disk: its rows, its spans, its prediction, its refusals."""

import json

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from analysis.networks.errors import BadInput, NotRunnable
from analysis.networks.inputs import Inputs
from analysis.networks.opened import OpenedModel
from analysis.registry import Quiet
from analysis.tensorlens import Params, tensorlens, work
from tests.analysis.tiny_transformers import CLASSES, tiny, window

LENGTH = 12


class Said(Quiet):
    def __init__(self):
        super().__init__()
        self.heard = []

    def __call__(self, done, total, words=""):
        self.heard.append((done, total))


@pytest.fixture
def saved(tmp_path):
    """Save a tiny model with a text of token ids; return how to run the analysis on it."""

    def save(family, **settings):
        network = tiny(family, **settings)
        network.save_pretrained(tmp_path / family.replace(" ", "-"))
        np.save(tmp_path / "ids.npy", window(10 * LENGTH).numpy())
        model = OpenedModel.open(tmp_path / family.replace(" ", "-"))
        text = str(tmp_path / "ids.npy")

        def run(report=None, **params):
            return list(tensorlens(model, Inputs(model, text), asked(**params), report or Quiet()))

        def asked(**params):
            return Params(text=text, **{"length": LENGTH, "probes": 2} | params)

        run.model, run.network, run.params = model, network, asked
        return run

    return save


@pytest.mark.parametrize("family", CLASSES)
def test_a_row_of_every_family(family, saved):
    run = saved(family)
    [row] = run()
    assert (row.span, row.start, row.stop, row.blocks) == ("whole model", 0, 2, 2)
    assert row.residual <= 1e-5
    share, bias = np.asarray(row.share), np.asarray(row.bias_share)
    assert share.shape == row.norm.shape == row.frobenius.shape == row.rollout.shape == (12, 12)
    assert share.sum(1) + bias == pytest.approx(np.ones(12), abs=1e-5)
    assert row.back == (None if "bert" in family or family == "encoder" else 0)
    gate = "no gate" if family in ("gpt2", "bert", "encoder", "bert classifier") else "up"
    assert (row.gating, row.probes, row.seed, row.dtype) == (gate, 2, 0, "float32")
    assert json.loads(row.tokens) == [str(int(i)) for i in window(120)[:12]]
    assert row.deletion_windows is row.over_random is row.drop_random is None
    with torch.no_grad():
        output = run.network(window(120)[None, :12])
    if family == "encoder":
        assert row.logit is row.logit_of is row.logit_residual is row.bias_logit is None
        assert row.position == 10
        return
    assert row.logit_residual <= 1e-5
    logits = output.logits.reshape(-1, output.logits.shape[-1]).numpy()
    found = row.logit.sum(1) + np.asarray(row.bias_logit)
    if "classifier" in family:
        place = 0 if "bert" in family else 11
        assert row.position == place
        assert found[place] == pytest.approx(logits.max(), abs=1e-5 * float(np.abs(logits).max()))
        assert np.isnan(np.delete(found, place)).all()
        assert row.target == f"the logit of 'class {logits.argmax()}'"
        return
    assert found == pytest.approx(logits.max(1), abs=1e-5 * float(np.abs(logits).max()))
    assert json.loads(row.logit_of) == [str(i) for i in logits.argmax(1)]
    assert row.position == (10 if family == "bert" else 11)


def test_the_window_position_and_token_that_were_asked_for(saved):
    run = saved("gpt2")
    [row] = run(window=3, position=4, token=7)
    ids = window(120)[36:48]
    assert json.loads(row.tokens) == [str(int(i)) for i in ids]
    assert (row.position, row.target) == (4, "the logit of '7'")
    with torch.no_grad():
        expected = run.network(ids[None]).logits[0, :, 7].numpy()
    found = row.logit.sum(1) + np.asarray(row.bias_logit)
    assert found == pytest.approx(expected, abs=1e-5 * float(np.abs(expected).max()))


def test_spans(saved):
    run = saved("llama", num_hidden_layers=4)
    names = ["whole model", "block 0", "block 1", "block 2", "block 3"]
    rows = run(spans="each block")
    assert [row.span for row in rows] == names
    assert [(row.start, row.stop) for row in rows[1:]] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert all(row.residual <= 1e-5 for row in rows)
    assert [row.logit is None for row in rows] == [False, True, True, True, False]
    rows = run(spans="up to each block", start=1)
    assert [row.span for row in rows] == ["blocks 1 to 3", "block 1", "blocks 1 to 2"]
    [row] = run(start=1, stop=2, spans="each block")
    assert row.span == "block 1"
    assert np.array_equal(row.share, run(start=1, spans="up to each block")[1].share)


def test_the_deletion_test_stands_in_the_first_row(saved):
    run = saved("llama")
    first, *others = run(deletion_windows=8, spans="each block", length=10)
    assert first.deletion_windows == 8
    assert first.deleted_share == pytest.approx(np.linspace(0, 1, 11))
    for name in ("contributions", "rollout", "random"):
        drops, area = getattr(first, f"drop_{name}"), getattr(first, f"area_{name}")
        assert area == pytest.approx(np.trapezoid(drops, first.deleted_share))
        assert drops[-1] == pytest.approx(first.drop_random[-1], abs=1e-5)
    assert first.over_random == pytest.approx(first.area_contributions - first.area_random)
    assert first.over_rollout == pytest.approx(first.area_contributions - first.area_rollout)
    assert first.over_random_low < first.over_random < first.over_random_high
    assert all(row.deletion_windows is None for row in others)


def test_without_probes_nothing_is_estimated(saved):
    [row] = saved("llama")(probes=0)
    assert row.frobenius is row.frobenius_error is None


def test_the_same_seed_gives_the_same_row(saved):
    run = saved("llama")
    [one], [same], [other] = run(seed=1), run(seed=1), run(seed=2)
    assert np.array_equal(one.frobenius, same.frobenius)
    assert not np.array_equal(one.frobenius, other.frobenius)
    assert np.array_equal(one.share, other.share)


def test_the_gating_is_recorded_and_matters(saved):
    run = saved("llama")
    rows = {gating: run(gating=gating)[0] for gating in ("up", "gate", "half")}
    assert [row.gating for row in rows.values()] == list(rows)
    assert np.abs(rows["up"].share - rows["gate"].share).max() > 0.01


@pytest.mark.parametrize("params", [{}, {"spans": "each block"}, {"deletion_windows": 3}])
def test_progress_ends_at_its_total(saved, params):
    said = Said()
    saved("llama")(said, **params)
    done, total = zip(*said.heard, strict=True)
    assert list(done) == sorted(done)
    assert done[-1] == total[-1]
    assert len(set(total)) == 1


def test_the_predicted_passes(saved):
    run = saved("llama")
    model, text = run.model, run.params().text
    np.save(text, window(50 * 64).numpy())
    one = work(model.source, Params(text=text, length=64, probes=8), model.layers)
    assert "64 x 64 tokens, 8 probes: 36,864 token passes" in one.words
    each = work(
        model.source, Params(text=text, length=64, probes=8, spans="each block"), model.layers
    )
    assert each.seconds == pytest.approx(2 * one.seconds)
    half = work(model.source, Params(text=text, length=64, probes=8, stop=1), model.layers)
    assert half.seconds == pytest.approx(one.seconds / 2)
    in_blocks = 2 * (16 * 16 * 2 + 2 * 8 * 16 + 3 * 16 * 24)
    assert one.seconds == pytest.approx(2 * in_blocks * 36864 / 4e10)
    params = Params(text=text, length=64, probes=8, deletion_windows=50)
    tested = work(model.source, params, model.layers)
    assert "50 windows of the deletion test" in tested.words
    assert f"{36864 + 50 * 102 * 64:,} token passes" in tested.words
    assert tested.bytes > one.bytes > 4 * model.source.parameters


@pytest.mark.parametrize(
    ("params", "error", "said"),
    [
        ({"position": 12}, BadInput, "position 12 is outside of a window of 12 tokens"),
        ({"token": 29}, BadInput, "the token id 29 has no logit: choose one below 29"),
        ({"stop": 3}, BadInput, "blocks 0 to 3 are no span of a model of 2 blocks"),
        ({"start": 2}, BadInput, "blocks 2 to 2 are no span"),
        ({"length": 65}, BadInput, "64 positions"),
        ({"window": 10}, BadInput, "has 120 tokens"),
        ({"deletion_windows": 11}, BadInput, "has 120 tokens"),
    ],
)
def test_what_is_not_there_is_refused(saved, params, error, said):
    run = saved("llama")
    with pytest.raises(error, match=said):
        run(**params)
    if "token" not in params:
        with pytest.raises(error, match=said):
            work(run.model.source, run.params(**params), ())


def test_a_position_of_a_classifier_is_refused(saved):
    run = saved("bert classifier")
    with pytest.raises(BadInput, match="a classifier has one output"):
        run(position=3)
    with pytest.raises(BadInput, match="a classifier has one output"):
        work(run.model.source, run.params(position=3), run.model.layers)


def test_a_map_that_misses_the_output_is_refused(saved, monkeypatch):
    """As a family would whose blocks are not what they are taken for."""
    from analysis.networks.lens import freezing

    def halved(block, x, pattern, gating):
        return freezing._llama_block(block, x, pattern, gating)[:1]

    wrong = freezing.Family("layers", halved, final="norm")
    monkeypatch.setitem(freezing.FAMILIES, "llama", wrong)
    with pytest.raises(NotRunnable, match=r"misses .* of the model's own output"):
        saved("llama")()


def test_a_state_dict_has_no_attention(tmp_path):
    from safetensors.torch import save_file

    save_file(
        {"a.weight": torch.randn(4, 3), "b.weight": torch.randn(2, 4)}, tmp_path / "m.safetensors"
    )
    model = OpenedModel.open(tmp_path / "m.safetensors")
    with pytest.raises(NotRunnable, match=r"has no config\.json.*needs a transformer"):
        work(model.source, Params(), ())
    with pytest.raises(NotRunnable, match=r"has no config\.json|no tokenizer"):
        list(tensorlens(model, Inputs(model), Params(), Quiet()))


def test_an_unknown_family_is_refused_before_the_launch(tmp_path):
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    config = GPTNeoXConfig(
        vocab_size=29, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    GPTNeoXForCausalLM(config).save_pretrained(tmp_path)
    with pytest.raises(NotRunnable, match="cannot be frozen here"):
        work(OpenedModel.open(tmp_path).source, Params(), ())


def test_a_model_that_gives_nan_is_said_to_be_damaged(tmp_path):
    with torch.no_grad():
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=1,
                num_attention_heads=4, max_position_embeddings=32,
            )
        )  # fmt: skip
        model.model.layers[0].self_attn.k_proj.weight[0, 0] = torch.nan
    model.save_pretrained(tmp_path / "model")
    np.save(tmp_path / "ids.npy", np.arange(1, 33))
    opened = OpenedModel.open(tmp_path / "model")
    inputs = Inputs(opened, str(tmp_path / "ids.npy"))
    with pytest.raises(NotRunnable, match=r"gives NaN or infinity .*damaged"):
        list(tensorlens(opened, inputs, Params(length=8), Quiet()))
