"""Statistics in a safetensors file, where those that layers share are stored once; their size."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from analysis.compress.calibration.sampled_tokens import TOKENS
from analysis.compress.pieces import Statistics, TokenSample
from analysis.compress.trials.targets import Target

FLOAT64, FLOAT32 = 8, 4
MEMORY = 512 << 20
FIELDS = ("gram", "mean_abs", "heldout", "gradient", "squared", "slope")
SAMPLE = ("sample_inputs", "sample_gradients")
# Modules that read one input where they stand side by side.
READERS = {
    **dict.fromkeys(("q", "k", "v", "qkv"), "qkv"),
    **dict.fromkeys(("cross_k", "cross_v", "cross_kv"), "cross_kv"),
    **dict.fromkeys(("gate", "up", "gate_up"), "gate_up"),
    **dict.fromkeys(("shared_gate", "shared_up", "shared_gate_up"), "shared_gate_up"),
}


def save(path: Path, statistics: Mapping[str, Statistics]) -> None:
    """Write statistics by layer."""
    names: dict[int, str] = {}  # by identity
    tensors: dict[str, Tensor] = {}
    listed: dict[str, dict[str, Any]] = {}
    for layer, known in statistics.items():
        listed[layer] = {"tokens": known.tokens}
        for field, held in _tensors(known).items():
            name = names.setdefault(id(held), f"{layer}.{field}")
            tensors[name] = held.contiguous()
            listed[layer][field] = name
        if known.sample is not None:
            listed[layer]["sample"] = known.sample.name
    save_file(tensors, path, metadata={"statistics": json.dumps(listed)})


def load(path: Path, layers: Sequence[str] | None = None) -> dict[str, Statistics]:
    """Read what `save` wrote, of some layers (None: all); what was shared is shared again.

    Raises KeyError for a layer that is not there.
    """
    with safe_open(path, framework="pt") as file:
        listed = json.loads(file.metadata()["statistics"])
        chosen = {layer: listed[layer] for layer in (listed if layers is None else layers)}
        all_fields = (*FIELDS, *SAMPLE)
        names = {named[f] for named in chosen.values() for f in all_fields if f in named}
        tensors = {name: file.get_tensor(name) for name in sorted(names)}
    return {layer: _read(named, tensors) for layer, named in chosen.items()}


def _tensors(known: Statistics) -> dict[str, Tensor]:
    """Return what there is of a layer, by field."""
    found = {field: getattr(known, field) for field in FIELDS}
    if known.sample is not None:
        found |= dict(zip(SAMPLE, (known.sample.X, known.sample.g), strict=True))
    return {field: held for field, held in found.items() if held is not None}


def _read(named: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Statistics:
    fields = {f: tensors[named[f]] for f in FIELDS if f in named}
    sample = None
    if "sample" in named:
        sample = TokenSample(named["sample"], *(tensors[named[f]] for f in SAMPLE))
    return Statistics(named["tokens"], **fields, sample=sample)


def layers_in(path: Path) -> list[str]:
    """Return the layers that a file has statistics of; no tensor is read."""
    with safe_open(path, framework="pt") as file:
        return list(json.loads(file.metadata()["statistics"]))


def bytes_of(
    found: Sequence[Target], gradient: str = "full", heldout: bool = True, sampled: int = TOKENS
) -> int:
    """Return the bytes that the statistics of some targets take, in memory or in a file.

    `sampled` tokens are kept where there are gradients. Which layers share an input is read from
    their names, as it is before anything has run.
    """
    widths = {_input_of(target): target.shape[1] for target in found}
    inputs = sum((2 if heldout else 1) * n * n + n for n in widths.values())
    numbers = inputs + sum(_gradient_numbers(target, gradient) for target in found)
    if gradient == "none":
        return FLOAT64 * numbers
    slopes = sum(t.shape[0] * t.shape[1] for t in found)
    tokens = sampled * (sum(widths.values()) + sum(t.shape[0] for t in found))
    return FLOAT64 * numbers + FLOAT32 * (slopes + tokens)


def plan_groups(
    found: Sequence[Target], limit: int = MEMORY, gradient: str = "full"
) -> list[list[int | None]]:
    """Return runs of consecutive blocks (None: what is in none) whose statistics fit together.

    Each run takes at most `limit` bytes, or is one block.
    """
    blocks: dict[int | None, list[Target]] = {}
    for target in found:
        blocks.setdefault(target.block, []).append(target)
    groups, used = list[list[int | None]](), 0
    for block, inside in blocks.items():
        size = bytes_of(inside, gradient)
        if groups and used + size <= limit:
            groups[-1].append(block)
            used += size
        else:
            groups.append([block])
            used = size
    return groups


def _input_of(target: Target) -> tuple[str, int]:
    parent, _, leaf = target.module.rpartition(".")
    readers = READERS.get(target.role.rpartition(".")[2], leaf)
    return f"{parent}.{readers}", target.shape[1]


def _gradient_numbers(target: Target, gradient: str) -> int:
    m, n = target.shape
    return {"none": 0, "scalar": 1 + n, "diagonal": m + n, "full": m * m + n}[gradient]
