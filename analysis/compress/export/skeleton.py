"""A model's modules without its weights, which tell what an ordinary checkpoint of it holds."""

from typing import Any

import torch
from torch import nn

from analysis.networks import transformer
from analysis.weights.source import Source


def skeleton_of(source: Source) -> nn.Module:
    """Return the network of a source on the meta device, where no weight takes memory.

    Raises NotRunnable where transformers cannot run it.
    """
    import transformers

    config = transformer.config_of(source)
    chosen: Any = getattr(transformers, transformer.CLASSES[transformer.task_of(source)])
    with torch.device("meta"):
        network: nn.Module = chosen.from_config(config)
    return network.eval()
