"""One tiny model of each family that the tables name, made from its transformers configuration."""

from pathlib import Path
from typing import Any

import torch
import transformers

SIZE = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 32,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GROUPED = SIZE | {"num_key_value_heads": 2}
WIDE = GROUPED | {"head_dim": 16}  # heads x head_dim is not the hidden size
EXPERTS = {"num_experts": 4, "moe_intermediate_size": 24, "num_experts_per_tok": 2}
FALCON = {k: SIZE[k] for k in ("vocab_size", "hidden_size", "num_hidden_layers")} | {
    "num_attention_heads": 4,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GPT2 = {"vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 32}
GPT2 |= {"bos_token_id": 1, "eos_token_id": 2}
DISTIL = {"vocab_size": 64, "dim": 32, "hidden_dim": 48, "n_layers": 2, "n_heads": 4}
OPT = {"vocab_size": 64, "hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 2}
OPT |= {"num_attention_heads": 4, "max_position_embeddings": 32, "word_embed_proj_dim": 16}
VIT = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
VIT |= {"num_attention_heads": 4, "image_size": 16, "patch_size": 4}
T5 = {"vocab_size": 64, "d_model": 32, "d_ff": 48, "num_layers": 2, "num_heads": 4, "d_kv": 8}

GATED = "q k v o gate up down"
JOINED = "q k v qkv o up down"
PLAIN = "q k v o up down"
# family: (class, configuration's class, arguments, modules in the blocks, modules beside them)
FAMILIES: dict[str, tuple[str, str, dict[str, Any], str, str]] = {
    "llama": ("LlamaForCausalLM", "LlamaConfig", GROUPED, GATED, "embed head"),
    "mistral": ("MistralForCausalLM", "MistralConfig", WIDE, GATED, "embed head"),
    "qwen2": ("Qwen2ForCausalLM", "Qwen2Config", GROUPED, GATED, "embed head"),
    "qwen3": ("Qwen3ForCausalLM", "Qwen3Config", WIDE, GATED, "embed head"),
    "qwen3-tied": (
        "Qwen3ForCausalLM",
        "Qwen3Config",
        WIDE | {"tie_word_embeddings": True},
        GATED,
        "embed",
    ),
    "qwen2-moe": (
        "Qwen2MoeForCausalLM",
        "Qwen2MoeConfig",
        GROUPED | EXPERTS | {"shared_expert_intermediate_size": 40},
        f"{GATED} router shared_gate shared_up shared_down",
        "embed head",
    ),
    "qwen3-moe": (
        "Qwen3MoeForCausalLM",
        "Qwen3MoeConfig",
        WIDE | EXPERTS,
        f"{GATED} router",
        "embed head",
    ),
    "mixtral": (
        "MixtralForCausalLM",
        "MixtralConfig",
        GROUPED | {"num_local_experts": 4},
        f"{GATED} router",
        "embed head",
    ),
    "gpt-oss": (
        "GptOssForCausalLM",
        "GptOssConfig",
        WIDE | {"num_local_experts": 4, "num_experts_per_tok": 2, "pad_token_id": 0},
        f"{GATED} gate_up router",
        "embed head",
    ),
    "gpt2": ("GPT2LMHeadModel", "GPT2Config", GPT2, JOINED, "embed position"),
    "gpt-neox": ("GPTNeoXForCausalLM", "GPTNeoXConfig", SIZE, JOINED, "embed head"),
    "opt": ("OPTForCausalLM", "OPTConfig", OPT, PLAIN, "embed position project_in project_out"),
    "bert": ("BertModel", "BertConfig", SIZE, PLAIN, "embed position token_type pooler"),
    "bert-masked": (
        "BertForMaskedLM",
        "BertConfig",
        SIZE,
        PLAIN,
        "embed position token_type head_transform",
    ),
    "distilbert": (
        "DistilBertForSequenceClassification",
        "DistilBertConfig",
        DISTIL,
        PLAIN,
        "embed position pre_classifier classifier",
    ),
    "roberta": (
        "RobertaForSequenceClassification",
        "RobertaConfig",
        SIZE,
        PLAIN,
        "embed position token_type pre_classifier classifier",
    ),
    "vit": (
        "ViTForImageClassification",
        "ViTConfig",
        VIT,
        PLAIN,
        "patch_embed position classifier",
    ),
    "phi3": (
        "Phi3ForCausalLM",
        "Phi3Config",
        GROUPED | {"pad_token_id": 0},
        f"{GATED} qkv gate_up",
        "embed head",
    ),
    "falcon": ("FalconForCausalLM", "FalconConfig", FALCON, JOINED, "embed"),
    "falcon-grouped": (
        "FalconForCausalLM",
        "FalconConfig",
        FALCON | {"num_kv_heads": 2, "new_decoder_architecture": True},
        JOINED,
        "embed",
    ),
    "falcon-per-head": (
        "FalconForCausalLM",
        "FalconConfig",
        FALCON | {"multi_query": False},
        JOINED,
        "embed",
    ),
    "bloom": (
        "BloomForCausalLM",
        "BloomConfig",
        {"vocab_size": 64, "hidden_size": 32, "n_layer": 2, "n_head": 4},
        JOINED,
        "embed",
    ),
    "mpt": (
        "MptForCausalLM",
        "MptConfig",
        {"vocab_size": 64, "d_model": 32, "n_layers": 2, "n_heads": 4},
        JOINED,
        "embed",
    ),
    "t5": (
        "T5ForConditionalGeneration",
        "T5Config",
        T5,
        "encoder.q encoder.k encoder.v encoder.o encoder.up encoder.down encoder.position_bias "
        "decoder.q decoder.k decoder.v decoder.o decoder.up decoder.down decoder.position_bias "
        "decoder.cross_q decoder.cross_k decoder.cross_v decoder.cross_o",
        "embed",
    ),
}


def made(family: str, seed: int = 0) -> Any:
    """Build one family's model: seeded weights, biases zero, in evaluation mode."""
    model_class, config_class, arguments, _, _ = FAMILIES[family]
    torch.manual_seed(seed)
    config = getattr(transformers, config_class)(**arguments)
    model = getattr(transformers, model_class)(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif parameter.ndim > 1:
                # An architecture's own start is too small, or all zeros, to tell parts apart.
                parameter.normal_(std=0.1)
    return model


def saved(family: str, folder: Path, **options: Any) -> Any:
    """Save one family's model into a folder and return the model."""
    model = made(family)
    model.save_pretrained(folder, **options)
    return model
