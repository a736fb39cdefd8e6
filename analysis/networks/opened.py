"""A model that was opened to be run: what an analysis of unit "model" receives.

Transformers models run by their own classes, with their own head and eager attention (the default
attention has no second derivative on the CPU). An adapter runs merged into its base, a pair as its
fine-tuned model, a series as its newest checkpoint. A plain state dict has no forward pass, unless
its weights are a chain of layers (see `chain.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import nn

from analysis.networks import blocks, chain, transformer
from analysis.networks.blocks import Block
from analysis.networks.errors import NotRunnable
from analysis.weights.opening import open_model
from analysis.weights.source import Source


@dataclass(frozen=True)
class OpenedModel:
    """One model, the layers that were chosen of it, and the network made from it on request."""

    source: Source
    layers: tuple[str, ...] = ()  # display names, such as "blocks.0.k"
    all_layers: bool = True  # none was chosen, so all of them are
    device: str = "cpu"

    @classmethod
    def open(
        cls, path: str | Path, *, layers: Sequence[str] | None = None, base: str | None = None,
        allow_pickle: bool = False, device: str = "cpu",
    ) -> Self:  # fmt: skip
        """Open what lies at a path; all layers are chosen unless some are named.

        Raises BadModel as `open_model` does, and NotRunnable for a layer that it does not have.
        """
        source = open_model(path, base=base, allow_pickle=allow_pickle)
        known = [ref.label.layer for ref in source.matrices()]
        for layer in layers or ():
            if layer not in known:
                raise NotRunnable(f"{source.name} has no layer {layer!r}: choose one it lists")
        return cls(source, tuple(layers or known), layers is None, device)

    @property
    def name(self) -> str:
        """The source's name."""
        return self.source.name

    @cached_property
    def runs(self) -> Literal["transformer", "chain"]:
        """How the model runs. Raises NotRunnable when nothing here can run it."""
        if self.source.config:
            return "transformer"
        chain.layers_of(self.source)
        return "chain"

    @cached_property
    def config(self) -> Any:
        """The configuration of a transformers model. Raises NotRunnable for any other."""
        return transformer.config_of(self.source)

    @property
    def task(self) -> transformer.Task:
        """What the head of a transformers model is for; "encoder" when it has none."""
        return transformer.task_of(self.source)

    def network(
        self, *, dtype: torch.dtype = torch.float32, activation: str = "linear"
    ) -> nn.Module:
        """Return the network in evaluation mode, its weights converted to `dtype`.

        `activation` ("linear", "relu" or "tanh") stands between the layers of a chain, whose files
        do not say; transformers have their own. Each call loads the weights anew. Raises
        NotRunnable.
        """
        if self.runs == "chain":
            found: nn.Module = chain.network(self.source, activation)
        else:
            found = transformer.load(self.source)
        return found.to(device=self.device, dtype=dtype).eval()

    @cached_property
    def _tokenizer(self) -> Any:
        return transformer.tokenizer_of(self.source)

    def tokenizer(self) -> Any:
        """Return the model's own tokenizer. Raises NotRunnable where its folder has none."""
        return self._tokenizer

    def block(self, network: nn.Module, layer: str) -> Block:
        """Return the part of a network's parameters that a layer's display name means.

        Raises NotRunnable when the network has no such part.
        """
        return blocks.find(self.source, network, layer)
