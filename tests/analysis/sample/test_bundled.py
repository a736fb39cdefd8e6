"""The committed weights: their shape, their size, and that they really learned."""

import json

import pytest
import torch
from peft import PeftModel
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

from analysis.sample import ADAPTER, MODEL, corpus
from analysis.sample.adapter import BASE_NAME
from analysis.sample.card import PREFIX
from analysis.sample.evaluate import bits_per_byte

# PEFT asks transformers for a property by its old name.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")

MEGABYTE = 1_000_000


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*"))


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(MODEL)


@pytest.fixture(scope="module")
def base():
    return AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)


def test_it_is_a_small_llama_with_grouped_queries(base):
    config = base.config
    assert config.model_type == "llama"
    assert config.num_key_value_heads < config.num_attention_heads
    assert config.num_hidden_layers >= 4
    assert config.hidden_size >= 192
    assert 2e6 <= base.num_parameters() <= 6e6


def test_the_files_are_small_float16_and_no_pickles():
    assert size(MODEL) <= 12 * MEGABYTE
    assert size(ADAPTER) < MEGABYTE
    with safe_open(MODEL / "model.safetensors", "pt") as file:
        assert {file.get_tensor(key).dtype for key in file.keys()} == {torch.float16}  # noqa: SIM118
    suffixes = {path.suffix for folder in (MODEL, ADAPTER) for path in folder.iterdir()}
    assert suffixes <= {".json", ".safetensors", ".csv", ".md"}


def test_the_tokenizer_has_2048_byte_level_tokens(tokenizer):
    assert len(tokenizer) == 2048
    text = "class Ünïcode(str):\n    '''𝄞'''\n"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_it_predicts_modules_that_it_never_saw(base, tokenizer):
    heldout = corpus.text("heldout")[:PREFIX]
    assert bits_per_byte(base, tokenizer, heldout) <= 1.25


def test_the_adapter_predicts_help_topics_better(tokenizer):
    base = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
    topics = corpus.topics("heldout")
    before = bits_per_byte(base, tokenizer, topics)
    adapted = PeftModel.from_pretrained(base, str(ADAPTER))
    assert bits_per_byte(adapted, tokenizer, topics) <= 0.9 * before


def test_the_adapter_is_lora_of_rank_8_on_queries_and_values():
    config = json.loads((ADAPTER / "adapter_config.json").read_text())
    assert config["r"] == 8
    assert set(config["target_modules"]) == {"q_proj", "v_proj"}
    assert config["base_model_name_or_path"] == BASE_NAME


def test_the_card_carries_the_hash_of_the_manifest():
    assert corpus.manifest_hash() in (MODEL / "README.md").read_text()
