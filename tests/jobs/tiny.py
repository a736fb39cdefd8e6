"""A model small enough to profile in a second: random matrices under a Llama's names, on disk."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

HIDDEN, BLOCKS, VOCABULARY = 24, 2, 40
MATRICES = 7 * BLOCKS + 1
NORMS = BLOCKS + 1


def tensors(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def matrix(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).half()

    made = {"model.embed_tokens.weight": matrix(VOCABULARY, HIDDEN)}
    for block in range(BLOCKS):
        prefix = f"model.layers.{block}"
        for name in "qkvo":
            made[f"{prefix}.self_attn.{name}_proj.weight"] = matrix(HIDDEN, HIDDEN)
        for name in ("gate", "up"):
            made[f"{prefix}.mlp.{name}_proj.weight"] = matrix(2 * HIDDEN, HIDDEN)
        made[f"{prefix}.mlp.down_proj.weight"] = matrix(HIDDEN, 2 * HIDDEN)
        made[f"{prefix}.input_layernorm.weight"] = torch.ones(HIDDEN).half()
    made["model.norm.weight"] = torch.ones(HIDDEN).half()
    return made


def save(folder: Path, seed: int = 0, **changed: torch.Tensor) -> Path:
    """Write the model; `changed` replaces tensors by name, with `__` for a dot."""
    folder.mkdir(parents=True)
    made = tensors(seed) | {name.replace("__", "."): tensor for name, tensor in changed.items()}
    save_file(made, folder / "model.safetensors")
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": 2 * HIDDEN,
        "num_hidden_layers": BLOCKS,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "vocab_size": VOCABULARY,
        "tie_word_embeddings": True,
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder
