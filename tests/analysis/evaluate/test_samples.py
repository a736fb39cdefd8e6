"""Greedy continuations against a loop without a cache."""

import math

import pytest
import torch

from analysis.compress.pieces import NonFiniteLayer
from analysis.evaluate.samples import samples
from analysis.networks.errors import BadInput, NotRunnable
from tests.analysis.evaluate.small_models import KNOWN, on_disk


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def model(request, tmp_path_factory):
    return on_disk(tmp_path_factory.mktemp("model"), request.param)


def naive(network, ids, tokens):
    ids = list(ids)
    for _ in range(tokens):
        with torch.no_grad():
            ids.append(int(network(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    return ids


def test_both_models_go_on_with_the_likeliest_token(model):
    opened, dense = model
    trial = opened.network()
    with torch.no_grad():
        trial.get_output_embeddings().weight.mul_(-1)
    found = samples(opened, dense, trial, "the sky is", 12)
    start = [KNOWN[word] for word in ("<s>", "the", "sky", "is")]
    tokenizer = opened.tokenizer()
    assert found.dense == tokenizer.decode(naive(dense, start, 12)[4:])
    assert found.trial == tokenizer.decode(naive(trial, start, 12)[4:])
    assert found.agreed < 12
    assert samples(opened, dense, dense, "the sky is", 12).agreed == 12


def test_it_stops_at_the_end_of_text_and_at_the_last_position(model):
    opened, dense = model
    tokenizer = opened.tokenizer()
    start = [KNOWN["<s>"], KNOWN["one"]]
    expected = naive(dense, start, 62)[2:]
    assert samples(opened, dense, dense, "one", 99).dense == tokenizer.decode(expected)
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(expected[5])
    stop = expected.index(expected[5])
    found = samples(opened, dense, dense, "one", 20)
    assert found.agreed == stop
    tokenizer.eos_token = None


def test_a_prompt_that_fills_all_positions_is_refused(model):
    opened, dense = model
    with pytest.raises(BadInput, match=r"prompt has 71 tokens .* give 1 to 63"):
        samples(opened, dense, dense, "the " * 70)


def test_a_layer_that_is_not_finite_is_named(model):
    opened, dense = model
    trial = opened.network()
    with torch.no_grad():
        trial.get_output_embeddings().weight[28, 0] = math.nan  # "m", not in the prompt
    with pytest.raises(NonFiniteLayer, match="head"):
        samples(opened, dense, trial, "the sky")


def test_only_causal_models_continue(tmp_path):
    opened, network = on_disk(tmp_path, "bert")
    with pytest.raises(NotRunnable, match="not causal"):
        samples(opened, network, network, "the sky")
