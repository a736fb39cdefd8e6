"""Training state in one safetensors file: a killed run loses little, and nothing is pickled."""

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file


def _tensors(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    parameters = dict(model.named_parameters())
    state = {
        f"{key}/{name}": value
        for name, parameter in parameters.items()
        for key, value in optimizer.state.get(parameter, {}).items()
    }
    return state | {f"weight/{name}": parameter for name, parameter in parameters.items()}


def save(
    path: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, step: int,
    record: str = "",
) -> None:  # fmt: skip
    """Write weights, optimizer state, the number of finished steps and a record of them."""
    tensors = {name: value.detach().clone() for name, value in _tensors(model, optimizer).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".tmp")
    save_file(tensors, unfinished, metadata={"step": str(step), "record": record})
    unfinished.replace(path)


def load(path: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Restore both in place and return the finished steps, 0 where there is no file."""
    if not path.exists():
        return 0
    parameters = dict(model.named_parameters())
    with safe_open(path, "pt") as file, torch.no_grad():
        for key in file.keys():  # noqa: SIM118  (safe_open is no mapping)
            kind, name = key.split("/")
            if kind == "weight":
                parameters[name].copy_(file.get_tensor(key))
            else:
                optimizer.state[parameters[name]][kind] = file.get_tensor(key)
        return int(file.metadata()["step"])


def record(path: Path) -> str | None:
    """Return the record that `save` wrote, None where there is no file."""
    if not path.exists():
        return None
    with safe_open(path, "pt") as file:
        return str(file.metadata()["record"])
