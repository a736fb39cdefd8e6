"""What `config.json` says about a model's shape, whichever words its family uses."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis.weights.header import BadModel

# Families whose configuration leaves `tie_word_embeddings` out when it is true.
TIED_BY_DEFAULT = {
    "bart", "bert", "bloom", "distilbert", "electra", "falcon", "gemma", "gemma2", "gemma3_text",
    "gpt2", "gpt_bigcode", "gpt_neo", "mpt", "opt", "roberta", "t5", "xlm-roberta",
}  # fmt: skip
HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads")
HIDDEN = ("hidden_size", "n_embd", "d_model", "dim")
GROUPS = ("num_key_value_heads", "num_kv_heads", "n_head_kv", "kv_n_heads")
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")
CHOSEN = ("num_experts_per_tok", "num_experts_per_token", "top_k_experts")


@dataclass(frozen=True)
class Facts:
    """The facts that naming and splitting need; None is "the configuration does not say"."""

    model_type: str = ""
    architecture: str = ""
    hidden: int | None = None
    heads: int | None = None
    groups: int | None = None  # key/value heads
    head_dim: int | None = None
    experts: int | None = None
    chosen: int | None = None  # experts that one token passes
    tied: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict)


def read_config(folder: Path) -> dict[str, Any]:
    """Return a folder's `config.json`, {} without one. Raises BadModel when it is corrupt."""
    path = folder / "config.json"
    return read_object(path) if path.is_file() else {}


def read_object(path: Path) -> dict[str, Any]:
    """Return the object that a JSON file holds. Raises BadModel when it is corrupt."""
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, OSError):
        config = None
    if not isinstance(config, dict):
        raise BadModel(f"{path} is no JSON object: copy or download it again")
    return config


def facts_of(config: Mapping[str, Any]) -> Facts:
    """Return the facts of a configuration; a nested `text_config` speaks for its model."""
    nested = (config.get(name) for name in ("text_config", "attn_config"))
    text = dict(config)
    for part in nested:
        text |= part if isinstance(part, dict) else {}
    heads, hidden = _count(text, HEADS), _count(text, HIDDEN)
    model_type = str(config.get("model_type") or "")
    tied = config.get("tie_word_embeddings", model_type in TIED_BY_DEFAULT)
    return Facts(
        model_type=model_type,
        architecture=_architecture(config),
        hidden=hidden,
        heads=heads,
        groups=_groups(model_type, text, heads),
        head_dim=_head_dim(text, hidden, heads),
        experts=_count(text, EXPERTS),
        chosen=_count(text, CHOSEN),
        tied=bool(tied),
        raw=text,
    )


def _architecture(config: Mapping[str, Any]) -> str:
    named = config.get("architectures")
    return (
        str(named[0]) if isinstance(named, list) and named else str(config.get("model_type") or "")
    )


def _groups(model_type: str, config: Mapping[str, Any], heads: int | None) -> int | None:
    # Falcon writes num_kv_heads = heads even where multi_query leaves a single one.
    if model_type == "falcon" and not config.get("new_decoder_architecture"):
        return 1 if config.get("multi_query") else heads
    return _count(config, GROUPS) or heads


def _head_dim(config: Mapping[str, Any], hidden: int | None, heads: int | None) -> int | None:
    given = _count(config, ("head_dim", "d_kv"))
    if given or not hidden or not heads:
        return given
    return hidden // heads


def _count(config: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    values = (config[name] for name in names if name in config)
    return next((v for v in values if isinstance(v, int) and v > 0), None)
