"""The tensors of a network as a file holds them, each once, and how many bytes that takes.

A safetensors file is 8 bytes of length, a JSON header padded with spaces to a multiple of 8, and
the tensors one after another, those of wider types first and then by name.

Format: https://github.com/huggingface/safetensors
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from analysis.compress.pieces import NonFiniteLayer
from analysis.weights.header import DTYPES

FILE = "model.safetensors"
METADATA = {"format": "pt"}  # without which transformers reads no file
# torch's types in the order of safetensors, the first written first.
ORDER = ("int64", "float64", "float32", "int32", "bfloat16", "float16", "int16", "int8", "uint8",
         "bool")  # fmt: skip
WORDS = {name: word for word, (name, _) in DTYPES.items()}


def held(network: nn.Module) -> dict[str, Tensor]:
    """Return parameters and buffers by name; of tied ones that name from which a loader ties."""
    tied = getattr(network, "all_tied_weights_keys", None) or {}
    names: dict[int, str] = {}
    found = network.state_dict(keep_vars=True)
    for name, tensor in found.items():
        if names.setdefault(id(tensor), name) in tied and name not in tied:
            names[id(tensor)] = name
    return {name: tensor for name, tensor in found.items() if names[id(tensor)] == name}


def stored_dtype(tensor: Tensor, dtype: torch.dtype) -> torch.dtype:
    """Return the type a tensor is stored in: floating parameters in `dtype`, others in their own.

    Buffers are codes, scales, indices and statistics, whose width is part of what they are.
    """
    of_model = isinstance(tensor, nn.Parameter) and tensor.is_floating_point()
    return dtype if of_model else tensor.dtype


def predicted_bytes(network: nn.Module, dtype: torch.dtype) -> int:
    """Return the exact size of the file that holds a network with its parameters in `dtype`."""
    return file_bytes({
        name: (stored_dtype(tensor, dtype), tuple(tensor.shape))
        for name, tensor in held(network).items()
    })  # fmt: skip


def file_bytes(tensors: Mapping[str, tuple[torch.dtype, tuple[int, ...]]]) -> int:
    """Return the exact size of a safetensors file of tensors with these types and shapes."""
    header: dict[str, object] = {"__metadata__": METADATA}
    end = 0
    for name, (dtype, shape) in sorted(tensors.items(), key=_place):
        start, end = end, end + math.prod(shape) * dtype.itemsize
        word = WORDS[str(dtype).removeprefix("torch.")]
        header[name] = {"dtype": word, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return 8 + len(text) + -len(text) % 8 + end


def checked(tensors: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Return tensors as they are stored. Raises NonFiniteLayer for what `dtype` cannot hold."""
    found = {}
    for name, tensor in tensors.items():
        kept = tensor.detach().to("cpu", stored_dtype(tensor, dtype)).contiguous()
        if kept.is_floating_point() and not kept.isfinite().all():
            word = str(kept.dtype).removeprefix("torch.")
            raise NonFiniteLayer(name, f"the tensor stored as {word}")
        found[name] = kept
    return found


def write(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write the file of a model."""
    save_file(dict(tensors), folder / FILE, metadata=METADATA)


def _place(item: tuple[str, tuple[torch.dtype, tuple[int, ...]]]) -> tuple[int, bytes]:
    name, (dtype, _) = item
    return ORDER.index(str(dtype).removeprefix("torch.")), name.encode()
