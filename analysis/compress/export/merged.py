"""Export merged: each form multiplied out to a plain weight, an ordinary checkpoint of full size.

It runs wherever the dense model does; only its numbers are the compressed model's.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from analysis.compress.export import folder as beside
from analysis.compress.export import tensors
from analysis.compress.export.placing import check_in_place
from analysis.compress.export.record import write_record
from analysis.compress.export.skeleton import skeleton_of
from analysis.compress.forms import Form
from analysis.weights.source import Source


def write_merged(
    folder: Path,
    source: Source,
    network: nn.Module,
    forms: Mapping[str, Form],
    dtype: torch.dtype,
    record: Mapping[str, Any],
) -> None:
    """Write a network that has the forms in place, by path, as its dense model in `dtype`.

    Raises as `write_factored` does.
    """
    weights = {path: form.dense for path, form in forms.items()}
    write_weights(folder, source, network, weights, dtype, record)


def write_weights(
    folder: Path,
    source: Source,
    network: nn.Module,
    weights: Mapping[str, Callable[[], Tensor]],
    dtype: torch.dtype,
    record: Mapping[str, Any],
) -> None:
    """Write a network with a plain weight in the place of each form: what makes W, by path."""
    check_in_place(network, {path: network.get_submodule(path) for path in weights})
    beside.check_class(network)
    plain = skeleton_of(source)
    rest = {name: t for name, t in tensors.held(network).items() if not _inside(name, weights)}
    kept = tensors.checked(rest, dtype)
    for path, weight in weights.items():  # one at a time: only what is stored stays in memory
        modules = network.get_submodule(path), plain.get_submodule(path)
        kept |= tensors.checked(_ordinary(path, weight(), *modules), dtype)
    config = beside.config_for(source, network, dtype)
    beside.prepared(folder, source)
    beside.write_config(folder, config)
    tensors.write(folder, kept)
    word = str(dtype).removeprefix("torch.")
    write_record(folder, {**record, "export": f"merged in {word}", "dtype": word})


def _inside(name: str, paths: Iterable[str]) -> bool:
    return any(name.startswith(f"{path}.") for path in paths)


def _ordinary(path: str, W: Tensor, form: nn.Module, plain: nn.Module) -> dict[str, Tensor]:
    """Return weight and bias as the dense model's own module stores them."""
    turned = type(plain).__name__ == "Conv1D"
    found: dict[str, Tensor] = {f"{path}.weight": nn.Parameter((W.T if turned else W).detach())}
    if getattr(plain, "bias", None) is not None:
        found[f"{path}.bias"] = nn.Parameter(_bias(form, W))
    return found


def _bias(form: nn.Module, W: Tensor) -> Tensor:
    """Return what a form adds to W x, wherever in its parts the biases are."""
    computes = next((p.dtype for p in form.parameters()), W.dtype)
    with torch.no_grad():
        answer: Tensor = form(torch.zeros(1, W.shape[1], dtype=computes, device=W.device))
    return answer[0]
