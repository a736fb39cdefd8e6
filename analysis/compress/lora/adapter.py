"""Writing two factors per module as an adapter in PEFT's layout.

PEFT adds alpha / r · BA; alpha is the rank, so what is added is BA. Where the ranks differ, the
greatest is the adapter's own and the others stand in `rank_pattern` and `alpha_pattern`.

PEFT's layout: https://huggingface.co/docs/peft/developer_guides/checkpoint
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from analysis.compress.export.record import write_record
from analysis.compress.export.tensors import METADATA, file_bytes
from analysis.compress.pieces import NonFiniteLayer
from analysis.registry import AnalysisError

PREFIX = "base_model.model."
FILE = "adapter_model.safetensors"
Factors = tuple[Tensor, Tensor]


class NothingToWrite(AnalysisError):  # noqa: N818  what was found, not a fault
    """An adapter was asked for and no module has an update."""


def write_adapter(
    folder: Path,
    factors: Mapping[str, Factors],
    base: str,
    record: Mapping[str, Any],
    *,
    conv1d: bool = False,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write B (m x k) and A (k x n) of each module, by its path in the network, and trial.json.

    `base` is what the adapter calls its base model: a hub id, or a path from the folder. `conv1d`
    says that modules of its base are GPT-2's Conv1D. Raises NonFiniteLayer for what `dtype` cannot
    hold, and NothingToWrite where no module has a direction.
    """
    held = {path: pair for path, pair in factors.items() if pair[1].shape[0] > 0}
    if not held:
        raise NothingToWrite(f"no module of {base} has an update: there is no adapter to write")
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: stored(path, factor, dtype)
        for path, pair in held.items()
        for name, factor in _named(path, pair).items()
    }
    save_file(tensors, folder / FILE, metadata=METADATA)
    config = _config({path: A.shape[0] for path, (_, A) in held.items()}, base, conv1d=conv1d)
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True))
    write_record(folder, record)


def read_factors(folder: Path) -> dict[str, Factors]:
    """Return B (m x k) and A (k x n) by module of what `write_adapter` wrote."""
    tensors = load_file(folder / FILE)
    ending = ".lora_A.weight"
    paths = [n.removeprefix(PREFIX).removesuffix(ending) for n in tensors if n.endswith(ending)]
    return {path: (tensors[_name(path, "B")], tensors[_name(path, "A")]) for path in paths}


def adapter_bytes(factors: Mapping[str, Factors], dtype: torch.dtype) -> int:
    """Return the exact size of the file that `write_adapter` writes; 0 where there is nothing."""
    held = {
        name: (dtype, tuple(factor.shape))
        for path, pair in factors.items()
        if pair[1].shape[0] > 0
        for name, factor in _named(path, pair).items()
    }
    return file_bytes(held) if held else 0


def _named(path: str, pair: Factors) -> dict[str, Tensor]:
    return {_name(path, "A"): pair[1], _name(path, "B"): pair[0]}


def _name(path: str, letter: str) -> str:
    return f"{PREFIX}{path}.lora_{letter}.weight"


def stored(path: str, factor: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a factor as a file holds it. Raises NonFiniteLayer for what `dtype` cannot hold."""
    kept = factor.detach().to(dtype).contiguous()
    if not kept.isfinite().all():
        raise NonFiniteLayer(path, f"its update stored as {str(dtype).removeprefix('torch.')}")
    return kept


def _config(ranks: Mapping[str, int], base: str, *, conv1d: bool) -> dict[str, Any]:
    greatest = max(ranks.values())
    # Anchored: PEFT lets a pattern match the end of a path.
    others = {f"^{re.escape(path)}": k for path, k in ranks.items() if k != greatest}
    return {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": base,
        "r": greatest,
        "lora_alpha": greatest,
        "rank_pattern": others,
        "alpha_pattern": others,
        "target_modules": sorted(ranks),
        "fan_in_fan_out": conv1d,
        "bias": "none",
        "lora_dropout": 0.0,
        "use_rslora": False,
        "use_dora": False,
        "inference_mode": True,
    }
