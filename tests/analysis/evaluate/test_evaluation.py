"""An evaluation from a folder to a number, what it keeps, and what does not fit a model."""

import json
import math

import numpy as np
import pytest
import torch

from analysis import sample
from analysis.compress.pieces import NonFiniteLayer
from analysis.evaluate.evaluation import Evaluation, Settings, check, difference, evaluate
from analysis.networks.errors import BadInput, NotRunnable
from analysis.networks.opened import OpenedModel
from analysis.weights.opening import open_model
from tests.analysis.evaluate.small_models import KNOWN, TEXT, on_disk, written

PAIRS = "the sky,the blue sky,4.5\none two,the rose is red,0\nred rose,rose,3.0\n"
QUESTION = json.dumps({"question": "the sky is", "choices": ["blue", "red rose"], "answer": 0})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def models(folder):
    families = ("llama", "gpt2", "bert", "encoder", "bert classifier")
    return {family: on_disk(folder / family, family) for family in families}


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_loss_perplexity_and_bits_of_a_causal_model(models, family, folder):
    opened, network = models[family]
    path = written(folder)
    found = evaluate(opened, network, Settings(text=path, window=10, windows=0))
    ids = [KNOWN["<s>"], *(KNOWN[word] for word in TEXT.split())]
    total, scored, right = 0.0, 0, 0
    for start in range(0, 150, 10):
        window = torch.tensor([ids[start : start + 10]])
        with torch.no_grad():
            log_p = network(input_ids=window).logits[0].double().log_softmax(-1)
        for at in range(1, 10):
            total -= float(log_p[at - 1, window[0, at]])
            right += int(log_p[at - 1].argmax() == window[0, at])
            scored += len(f" {TEXT.split()[start + at - 1]}".encode()) - (start + at == 1)
    assert found.metric == "loss"
    assert found.score == pytest.approx(total / 135, rel=1e-5)
    assert found.perplexity == pytest.approx(math.exp(total / 135), rel=1e-4)
    assert found.bits_per_byte == pytest.approx(total / math.log(2) / scored, rel=1e-5)
    assert found.accuracy == right / 135
    assert found.counts == (9,) * 15
    assert sum(found.parts) == pytest.approx(total, rel=1e-5)
    assert found.evaluated_on == "text.txt"


def test_the_protocol_says_all_of_it(models, folder):
    opened, network = models["llama"]
    found = evaluate(opened, network, Settings(text=written(folder), window=10, windows=3, seed=5))
    assert found.protocol == (
        'preset "stream": the whole text as it stands, opened once (opening token <s>); 3 windows '
        "of 10 tokens that do not overlap, drawn from 15 with seed 5; the first token of each is "
        "not predicted"
    )


def test_a_masked_model_predicts_a_seeded_share(models, folder):
    opened, network = models["bert"]
    settings = [Settings(text=written(folder), window=22, windows=4, seed=s) for s in (0, 0, 1)]
    one, same, other = (evaluate(opened, network, each) for each in settings)
    assert one == same
    assert one.parts != other.parts
    assert one.counts == (3, 3, 3, 3)
    assert one.bits_per_byte is None
    assert "15% of the tokens of each, at least one, are masked with seed 0" in one.protocol
    assert one.perplexity == pytest.approx(math.exp(one.score))


def test_token_ids_have_no_bytes(models, folder):
    np.save(folder / "ids.npy", np.arange(6, 28))
    opened, network = models["gpt2"]
    found = evaluate(opened, network, Settings(text=str(folder / "ids.npy"), window=11))
    assert found.bits_per_byte is None
    assert found.counts == (10, 10)


def test_an_encoder_orders_pairs(models, folder):
    opened, network = models["encoder"]
    found = evaluate(opened, network, Settings(pairs=written(folder, PAIRS, "pairs.csv")))
    assert (found.metric, found.gold, found.counts) == ("spearman", (4.5, 0.0, 3.0), ())
    assert -1 <= found.score <= 1
    assert (found.perplexity, found.accuracy) == (None, None)
    assert difference(found, found)[0] == 0


def test_choices_stand_beside_the_loss(models, folder):
    opened, network = models["llama"]
    asked = written(folder, QUESTION, "ask.jsonl")
    found = evaluate(opened, network, Settings(written(folder), window=10, choice=asked))
    plain = evaluate(opened, network, Settings(written(folder), window=10))
    assert found.choice_accuracy in (0.0, 1.0)
    assert found.choice_count == 1
    assert "1 questions of ask.jsonl" in found.protocol
    assert (found.parts, plain.choice_accuracy) == (plain.parts, None)


def test_it_survives_json(models, folder):
    opened, network = models["llama"]
    found = evaluate(opened, network, Settings(text=written(folder), window=10))
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert Evaluation.from_dict(json.loads(text)) == found


def test_a_difference_is_positive_where_the_trial_is_worse(models, folder):
    opened, dense = models["llama"]
    settings = Settings(text=written(folder), window=10)
    before = evaluate(opened, dense, settings)
    trial = opened.network()
    with torch.no_grad():
        trial.lm_head.weight.mul_(3)
    after = evaluate(opened, trial, settings)
    value, low, high = difference(after, before, seed=1)
    assert value == pytest.approx(after.score - before.score)
    assert low < value < high
    opposite = difference(before, after, seed=1)
    assert opposite == pytest.approx((-value, -high, -low))


@pytest.mark.parametrize("change", [{"seed": 3}, {"window": 9}, {"preset": "wikitext"}])
def test_other_windows_have_no_difference(models, folder, change):
    opened, network = models["llama"]
    settings = {"text": written(folder), "window": 10, "windows": 5}
    one = evaluate(opened, network, Settings(**settings))
    other = evaluate(opened, network, Settings(**settings | change))
    with pytest.raises(ValueError, match="expected evaluations of the same windows"):
        difference(one, other)


def test_a_layer_that_is_not_finite_is_named_as_it_is_listed(models, folder):
    opened, _ = models["llama"]
    network = opened.network()
    with torch.no_grad():
        network.model.layers[1].mlp.up_proj.weight[3, 2] = math.nan
    with pytest.raises(NonFiniteLayer, match=r"^blocks\.1\.up: its output holds NaN"):
        evaluate(opened, network, Settings(text=written(folder), window=10))


@pytest.mark.parametrize(
    ("family", "settings", "error", "said"),
    [
        ("encoder", {}, BadInput, "give sentence pairs .* by --pairs FILE, or as Pairs"),
        ("encoder", {"pairs": "pairs.csv", "text": "a.txt"}, BadInput, "one or the other"),
        ("encoder", {"pairs": "none.csv"}, BadInput, "cannot be read"),
        ("llama", {"pairs": "pairs.csv"}, BadInput, "llama is causal: give a text"),
        ("bert", {"choice": "ask.jsonl"}, BadInput, "bert is not causal"),
        ("llama", {"choice": "none.jsonl"}, BadInput, "cannot be read"),
        ("llama", {"window": 65}, BadInput, "64 positions"),
        ("llama", {"preset": "best"}, BadInput, "no preset"),
        ("llama", {"text": "none.txt"}, BadInput, "cannot be read"),
        ("bert classifier", {}, NotRunnable, "is a classifier"),
    ],
)
def test_what_does_not_fit_is_said_before_a_model_is_loaded(
    models, folder, family, settings, error, said
):
    written(folder, PAIRS, "pairs.csv")
    written(folder, QUESTION, "ask.jsonl")
    paths = {"pairs", "text", "choice"} & settings.keys()
    given = Settings(**settings | {name: str(folder / settings[name]) for name in paths})
    with pytest.raises(error, match=said):
        check(open_model(folder / family), given)
    with pytest.raises(error, match=said):
        evaluate(*models[family], given)


def test_what_fits_passes_the_check(models, folder):
    text, pairs = written(folder), written(folder, PAIRS, "pairs.csv")
    asked = written(folder, QUESTION, "ask.jsonl")
    check(open_model(folder / "llama"), Settings(text=text, choice=asked))
    check(open_model(folder / "bert"), Settings(text=text))
    check(open_model(folder / "encoder"), Settings(pairs=pairs))


def test_a_chain_of_layers_has_no_evaluation(tmp_path):
    from safetensors.torch import save_file

    save_file({"a.weight": torch.ones(3, 4)}, tmp_path / "model.safetensors")
    with pytest.raises(NotRunnable, match=r"has no config\.json"):
        check(open_model(tmp_path / "model.safetensors"), Settings())


def test_the_sample_is_measured_on_its_held_out_text():
    opened = OpenedModel.open(sample.MODEL)
    found = evaluate(opened, opened.network(), Settings(window=128, windows=4))
    assert found.evaluated_on == "bundled held-out text"
    assert 1 < found.score < 4
    assert 0.6 < found.bits_per_byte < 2
