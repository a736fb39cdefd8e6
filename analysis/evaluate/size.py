"""How large a network is: numbers of its linear layers, of all of it, bytes of its file."""

from collections.abc import Iterable
from itertools import chain

import torch
from torch import Tensor, nn

from analysis.compress.export.tensors import predicted_bytes
from analysis.compress.forms import Form


def linear_numbers(network: nn.Module, modules: Iterable[str]) -> int:
    """Return the numbers of the linear layers at some paths: forms' own, or the weight's entries.

    A weight that several of them share counts once, and biases do not count.
    """
    found = {path: network.get_submodule(path) for path in modules}
    forms = {id(module): module for module in found.values() if isinstance(module, Form)}
    dense = [module for module in found.values() if not isinstance(module, Form)]
    weights = {id(weight): weight for weight in (m.get_parameter("weight") for m in dense)}
    return sum(form.numbers() for form in forms.values()) + sum(
        weight.numel() for weight in weights.values()
    )


def model_numbers(network: nn.Module) -> int:
    """Return all unique parameters, and the numbers that forms hold in packed codes."""
    packed = sum(module.coded() for module in network.modules() if isinstance(module, Form))
    return packed + sum(parameter.numel() for parameter in network.parameters())


def file_bytes(network: nn.Module, dtype: torch.dtype) -> int:
    """Return the exact bytes of the file that an export writes, parameters in `dtype`."""
    return predicted_bytes(network, dtype)


def weights_bytes(network: nn.Module) -> int:
    """Return the bytes that parameters and buffers take in memory, shared ones once."""
    tensors: Iterable[Tensor] = chain(network.parameters(), network.buffers())
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    return sum(storages.values())
