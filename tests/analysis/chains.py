"""Saved chains of layers with random weights and, where asked, arrays to run them on."""

from itertools import pairwise

import numpy as np
import torch
from safetensors.torch import save_file

from analysis.hessian_rank import Params, hessian_rank
from analysis.networks.inputs import Inputs
from analysis.networks.opened import OpenedModel
from analysis.registry import Quiet


def saved_chain(folder, shapes, *, biases=False, seed=0):
    """Write a chain of weights of these shapes, of unit gain; return its path."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for i, shape in enumerate(shapes):
        fan_in = int(np.prod(shape[1:]))
        weight = torch.randn(*shape, generator=generator, dtype=torch.float64)
        name = f"conv{i}" if len(shape) == 3 else f"fc{i}"
        tensors[f"{name}.weight"] = weight / fan_in**0.5
        if biases:
            tensors[f"{name}.bias"] = torch.randn(
                shape[0], generator=generator, dtype=torch.float64
            )
    path = folder / "chain.safetensors"
    save_file(tensors, path)
    return path


def dense_shapes(*widths):
    """25, 5, 10 -> (5, 25), (10, 5)."""
    return [(out, into) for into, out in pairwise(widths)]


def conv_shapes(c, d, m, k, K):
    """One convolution to m channels, then K outputs."""
    return [(m, c, k), (K, m * (d - k + 1))]


def measured(path, *, layers=None, report=None, text=None, **params):
    """The rows of an analysis of a saved model."""
    model = OpenedModel.open(path, layers=layers)
    text = None if text is None else str(text)
    return list(
        hessian_rank(model, Inputs(model, text), Params(text=text, **params), report or Quiet())
    )


def whole(path, **params):
    """The one row of a whole chain."""
    [row] = measured(path, scope="whole", **params)
    return row
