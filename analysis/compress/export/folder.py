"""What lies beside the weights of an exported model: configuration, tokenizer, generation."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import nn

from analysis.networks import transformer
from analysis.networks.errors import NotRunnable
from analysis.registry import AnalysisError
from analysis.weights.source import Source

# Beside the files of `transformer.TOKENIZERS`.
COPIED = (
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "merges.txt",
    "chat_template.jinja", "chat_template.json", "generation_config.json",
    "preprocessor_config.json",
)  # fmt: skip


class NotEmpty(AnalysisError):  # noqa: N818  what was found, not a fault
    """A folder to write a model into holds something already."""


def prepared(folder: Path, source: Source) -> None:
    """Make a folder and copy what reads and generates text. Raises NotEmpty."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise NotEmpty(f"{folder} is not empty: name a new folder to export into")
    folder.mkdir(parents=True, exist_ok=True)
    home = transformer.folder_of(source)
    for name in (*transformer.TOKENIZERS, *COPIED):
        if (home / name).is_file():
            shutil.copyfile(home / name, folder / name)


def check_class(network: nn.Module) -> type:
    """Return the class of transformers that runs a network. Raises NotRunnable for any other."""
    found = type(network)
    if not found.__module__.startswith("transformers."):
        raise NotRunnable(
            f"a {found.__name__} is no model of transformers, whose layout is exported: give a "
            "folder with a config.json"
        )
    return found


def config_for(source: Source, network: nn.Module, dtype: torch.dtype) -> dict[str, Any]:
    """Return the model's own configuration, with the stored type and whether its head is tied."""
    own = dict(transformer.newest(transformer.newest(source).run).config)
    for name in ("torch_dtype", "auto_map", "_name_or_path"):  # an older word, and what is no more
        own.pop(name, None)
    own |= {
        "architectures": [check_class(network).__name__],
        "dtype": str(dtype).removeprefix("torch."),
    }
    config = transformer.config_of(source)
    if getattr(config, "tie_word_embeddings", False) and not _is_tied(network):
        own["tie_word_embeddings"] = False
    return own


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Write config.json."""
    text = json.dumps(config, indent=2, sort_keys=True)
    (folder / "config.json").write_text(f"{text}\n")


def _is_tied(network: nn.Module) -> bool:
    """Say whether every pair that a loader would tie is one tensor, or equal, in this network."""
    tensors = network.state_dict()
    pairs: dict[str, str] = getattr(network, "all_tied_weights_keys", None) or {}
    known = [(tensors[a], tensors[b]) for a, b in pairs.items() if {a, b} <= tensors.keys()]
    return all(a.data_ptr() == b.data_ptr() or torch.equal(a, b) for a, b in known)
