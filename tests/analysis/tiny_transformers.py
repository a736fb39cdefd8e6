"""Tiny random models of transformers' own classes, and the windows they read."""

import torch
import transformers

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 29}
GATED = SIZES | {"num_key_value_heads": 2, "intermediate_size": 24, "max_position_embeddings": 64}
GPT2 = {"n_embd": 16, "n_layer": 2, "n_head": 4, "vocab_size": 29, "n_positions": 64}
BERT = SIZES | {"intermediate_size": 24, "max_position_embeddings": 64}
GATED_FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
FAMILIES = (*GATED_FAMILIES, "gpt2", "bert")
CLASSES = {
    "llama": ("LlamaConfig", "LlamaForCausalLM", GATED),
    "mistral": ("MistralConfig", "MistralForCausalLM", GATED | {"sliding_window": 4}),
    "qwen2": ("Qwen2Config", "Qwen2ForCausalLM", GATED),
    "qwen3": ("Qwen3Config", "Qwen3ForCausalLM", GATED | {"head_dim": 8}),
    "gpt2": ("GPT2Config", "GPT2LMHeadModel", GPT2),
    "bert": ("BertConfig", "BertForMaskedLM", BERT),
    "encoder": ("BertConfig", "BertModel", BERT),
    "bert classifier": ("BertConfig", "BertForSequenceClassification", BERT | {"num_labels": 3}),
    "llama classifier": (
        "LlamaConfig",
        "LlamaForSequenceClassification",
        GATED | {"num_labels": 3, "pad_token_id": 0},
    ),
}


def tiny(family, seed=0, dtype=torch.float32, **settings):
    """A model whose every weight, bias and gain is random, so that none is absent by being zero."""
    config, model, sizes = CLASSES[family]
    chosen = getattr(transformers, config)(**sizes | settings)
    network = getattr(transformers, model)._from_config(chosen, attn_implementation="eager")
    network = network.eval().to(dtype)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            gain = parameter.dim() == 1 and name.endswith("weight")
            parameter.copy_(1 + 0.3 * noise if gain else 0.25 * noise)
    return network


def window(length, seed=0):
    """Token ids, (length,)."""
    return torch.randint(1, 29, (length,), generator=torch.Generator().manual_seed(seed + 100))
