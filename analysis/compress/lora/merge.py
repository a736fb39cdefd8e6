"""The base of an update with two factors per module added to its weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from analysis.compress.export.merged import write_weights
from analysis.compress.lora.adapter import Factors, read_factors
from analysis.compress.trials.measuring import saved_dtype
from analysis.networks.opened import OpenedModel


def write_merged_update(
    folder: Path, opened: OpenedModel, weights: Path, told: Mapping[str, Any]
) -> None:
    """Write the base with a saved trial's adapter added to it, as an ordinary checkpoint."""
    base = base_of(opened)
    network = base.network()
    add(network, read_factors(weights))
    dtype = saved_dtype(base.source, told["settings"]["dtype"])
    write_weights(folder, base.source, network, {}, dtype, told)


def base_of(opened: OpenedModel) -> OpenedModel:
    """Return the base of an adapter or a fine-tuned model."""
    assert opened.source.base is not None
    return OpenedModel(opened.source.base, device=opened.device)


def add(network: nn.Module, factors: Mapping[str, Factors]) -> None:
    """Add BA to the weight of each module, in place: there is no product beside the weight."""
    with torch.no_grad():
        for path, (B, A) in factors.items():
            module = network.get_submodule(path)
            weight = module.get_parameter("weight")
            W = weight.T if type(module).__name__ == "Conv1D" else weight
            W.addmm_(B.to(W), A.to(W))
