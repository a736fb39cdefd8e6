"""Bits per byte against a loop over single tokens."""

import math

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from analysis.sample.evaluate import bits_per_byte, nats
from analysis.sample.tokenizer import train_tokenizer


@pytest.fixture(scope="module")
def model():
    config = LlamaConfig(
        vocab_size=300,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return LlamaForCausalLM(config)


@torch.inference_mode()
def one_by_one(model, ids, window):
    total = 0.0
    for t in range(1, len(ids)):
        context = ids[window * ((t - 1) // window) : t]
        total -= model(context[None]).logits[0, -1].log_softmax(0)[ids[t]].item()
    return total


@pytest.mark.parametrize("tokens", [2, 8, 9, 10, 41])
def test_every_token_is_predicted_once(model, tokens):
    ids = torch.randint(300, (tokens,), generator=torch.Generator().manual_seed(tokens))
    assert nats(model, ids, window=8) == pytest.approx(one_by_one(model, ids, 8), rel=1e-5)


def test_a_uniform_model_needs_the_logarithm_of_its_vocabulary(model):
    tokenizer = train_tokenizer(["x"], 257)
    uniform = LlamaForCausalLM(model.config)
    torch.nn.init.zeros_(uniform.lm_head.weight)
    assert bits_per_byte(uniform, tokenizer, "é", window=8) == pytest.approx(math.log2(300))


def test_evaluating_leaves_the_mode_alone(model):
    tokenizer = train_tokenizer(["x"], 257)
    model.train()
    bits_per_byte(model, tokenizer, "x y")
    assert model.training
    model.eval()


def test_empty_text_is_refused(model):
    with pytest.raises(ValueError, match="got an empty string"):
        bits_per_byte(model, train_tokenizer(["x"], 257), "")
