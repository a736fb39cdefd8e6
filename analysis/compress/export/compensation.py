"""Export of a compensated model: its compressed base, and the residuals as a LoRA adapter of it.

PEFT adapters change plain linear layers, so the base is written merged. The folder holds

    base/     an ordinary checkpoint of the model without its compensation
    adapter/  lora_A (r x n), lora_B (m x r) of each layer, alpha = r, of "../base"

Liu et al. (2024), EoRA, https://arxiv.org/abs/2410.21271
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from analysis.compress.export.merged import write_weights
from analysis.compress.export.skeleton import skeleton_of
from analysis.compress.forms import Compensated, Form, Parts
from analysis.compress.lora.adapter import NothingToWrite, write_adapter
from analysis.weights.source import Source

BASE = "base"
ADAPTER = "adapter"


def write_compensation(
    folder: Path,
    source: Source,
    network: nn.Module,
    forms: Mapping[str, Form],
    dtype: torch.dtype,
    record: Mapping[str, Any],
) -> None:
    """Write base and adapter of a network that has the forms in place, by path.

    Raises NothingToWrite where no form has a compensation, else as `write_factored` does.
    """
    found = {path: pair for path, form in forms.items() if (pair := residual(form)) is not None}
    if not found:
        raise NothingToWrite(
            f"no layer of {source.name} has a low-rank compensation: export it merged instead"
        )
    weights = {path: partial(without_residual, form) for path, form in forms.items()}
    write_weights(folder / BASE, source, network, weights, dtype, record)
    plain = skeleton_of(source)
    conv1d = any(type(plain.get_submodule(path)).__name__ == "Conv1D" for path in found)
    beside = {**record, "export": f"adapter of {BASE}"}
    write_adapter(folder / ADAPTER, found, f"../{BASE}", beside, conv1d=conv1d, dtype=dtype)


def without_residual(form: nn.Module) -> Tensor:
    """Return W' (m x n) of a form without its compensation, or that of its parts."""
    if isinstance(form, Compensated):
        return without_residual(form.form)
    if isinstance(form, Parts):
        return torch.cat([without_residual(part).to(_dtype(form)) for part in form.parts])
    W: Tensor = form.dense() if isinstance(form, Form) else form.weight  # type: ignore[assignment]
    return W.detach()


def residual(form: nn.Module) -> tuple[Tensor, Tensor] | None:
    """Return B (m x r) and A (r x n) of a form's compensation, None where it has none.

    Of parts the ranks add up: A_1, A_2, ... stand on one another and B is block diagonal.
    """
    if isinstance(form, Compensated):
        inner = residual(form.form)
        own = form.B.detach(), form.A.detach()
        return own if inner is None else (torch.hstack((inner[0], own[0])),
                                          torch.vstack((inner[1], own[1])))  # fmt: skip
    if not isinstance(form, Parts):
        return None
    found = [(residual(part), _outputs(part)) for part in form.parts]
    if all(pair is None for pair, _ in found):
        return None
    kind = next(pair[1] for pair, _ in found if pair is not None)
    pairs = [pair or (kind.new_zeros(rows, 0), kind[:0]) for pair, rows in found]
    B: Tensor = torch.block_diag(*(B for B, _ in pairs))  # type: ignore[no-untyped-call]
    return B, torch.cat([A for _, A in pairs])


def _outputs(part: nn.Module) -> int:
    rows = part.out_features
    assert isinstance(rows, int)
    return rows


def _dtype(form: nn.Module) -> torch.dtype:
    return next((p.dtype for p in form.parameters()), torch.float32)
