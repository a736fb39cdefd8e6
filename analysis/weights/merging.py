"""Updates that PEFT itself must make: W' - W, where it merges an adapter into one module's W.

The module stands alone in an otherwise empty model, with its own weight and the adapter's tensors;
modules whose numbers depend on all targets (VeRA's shared matrices have the size of the largest)
get the other targets too, all zero and without memory of their own. So one weight is in memory at
a time. PEFT works in float32 where it prepares the adapter and in float64 where it merges.

The noise floor is that of the adapter's stored digits, found by trying: each stored number is moved
by a seeded draw from its rounding interval (uniform, ulp wide, in the coarsest format that holds
all of them), the update is made again, and

    ε = c · ‖ΔW(moved) - ΔW‖₂ + 12 eps64 ‖W‖_F,

with c as in `noise_floor`. The second term is what the subtraction of W leaves. The base's digits
take no part: the update is one of the base as it is stored.

PEFT: https://github.com/huggingface/peft
"""

import contextlib
import json
import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from analysis.numerics.decomposition import EPS
from analysis.numerics.noise_floor import SAFETY, ulp_
from analysis.numerics.spectral_norm import spectral_norm
from analysis.weights.header import BadModel
from analysis.weights.reading import read
from analysis.weights.refs import MatrixRef
from analysis.weights.updates import Part, Target, Update
from analysis.weights.views import View

SEED = 0
FORMATS = (torch.bfloat16, torch.float16, torch.float32, torch.float64)


class Merged:
    """`Rows` of W' - W, made whole in float64 when first asked for."""

    def __init__(self, ref: MatrixRef) -> None:
        assert ref.update is not None
        self._update: Update = ref.update
        self._view = ref.view

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self._view.shape

    @property
    def dtype(self) -> torch.dtype:
        """Float64."""
        return torch.float64

    def rows(self, start: int, stop: int) -> Tensor:
        """Return rows start to stop."""
        return self._whole[start:stop]

    def error(self) -> tuple[float, str]:
        """Return ε as the module defines it, and the format of the stored numbers."""
        dtype = _format(list(self._tensors.values()))
        generator = torch.Generator().manual_seed(SEED)
        moved = {n: _moved(tensor, dtype, generator) for n, tensor in self._tensors.items()}
        name = str(dtype).removeprefix("torch.")
        change = spectral_norm(seen(self._made(moved), self._view).sub_(self._whole))
        rest = SAFETY["float64"] * EPS * torch.linalg.vector_norm(self._weight.double()).item()
        return SAFETY[name] * change + rest, name

    @cached_property
    def _whole(self) -> Tensor:
        return seen(self._made(self._tensors), self._view)

    @property
    def _weight(self) -> Tensor:
        return _read(self._update.parts[0])

    @cached_property
    def _tensors(self) -> dict[str, Tensor]:
        return {part.tensor: _read(part) for part in self._update.parts[1:]}

    def _made(self, tensors: dict[str, Tensor]) -> Tensor:
        target = self._update.targets[0]
        try:
            return _merged_minus_base(self._update, self._weight.float(), tensors)
        except (RuntimeError, ValueError, TypeError, KeyError, ImportError) as error:
            reason = " ".join(str(error).split())[:300]
            raise BadModel(
                f"PEFT cannot make the update of {target.path} ({reason}): give the adapter's own "
                "base with --base, and see that this version of PEFT knows its type"
            ) from error


def seen(update: Tensor, view: View) -> Tensor:
    """Return the matrix that a view shows of a tensor in memory."""
    for axis, span in enumerate(view.spans):
        if span.length != update.shape[axis]:
            wanted = torch.tensor([span.index(i) for i in range(span.length)])
            update = update.index_select(axis, wanted)
    return update.movedim(view.row_axis, 0).reshape(view.shape)


def _merged_minus_base(update: Update, weight: Tensor, tensors: dict[str, Tensor]) -> Tensor:
    path = update.targets[0].path
    with _peft() as peft, torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = _around(update.targets, weight.clone())
        config = peft.PeftConfig.from_peft_type(**json.loads(update.settings))
        config.target_modules = [target.path for target in update.targets]
        for name in ("layers_to_transform", "layers_pattern", "exclude_modules"):
            if getattr(config, name, None) is not None:
                setattr(config, name, None)
        # Before the tensors come, which would lose what float32 does not hold.
        adapted = peft.get_peft_model(model, config).double()
        said = peft.set_peft_model_state_dict(adapted, tensors)
        if said.unexpected_keys:
            raise ValueError(f"it does not know {said.unexpected_keys[0]}")
        layer = adapted.base_model.model.get_submodule(path)
        layer.merge()
    merged: Tensor = layer.get_base_layer().weight.detach()
    return merged - weight.double()


def _around(targets: tuple[Target, ...], weight: Tensor) -> nn.Module:
    """Return an empty model that has the targets alone: the first with its weight, others zero."""
    root = nn.Module()
    for target in targets:
        own = weight if target is targets[0] else torch.zeros(()).expand(target.shape)
        *parents, leaf = target.path.split(".")
        place = root
        for name in parents:
            if not hasattr(place, name):
                place.add_module(name, nn.Module())
            place = getattr(place, name)
        place.add_module(leaf, _layer(target, own))
    return root


def _layer(target: Target, weight: Tensor) -> nn.Module:
    outputs, inputs, *kernel = target.shape
    layer: nn.Module
    if target.layer == "conv":
        kinds: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
        layer = kinds[len(kernel)](inputs, outputs, tuple(kernel), bias=False, device="meta")
    elif target.layer == "embedding":
        layer = nn.Embedding(outputs, inputs, device="meta")
    elif target.layer == "conv1d":
        from transformers.pytorch_utils import Conv1D

        layer = Conv1D(inputs, outputs)  # type: ignore[no-untyped-call]
    else:
        layer = nn.Linear(inputs, outputs, bias=False, device="meta")
    layer.weight = nn.Parameter(weight, requires_grad=False)
    return layer


@contextlib.contextmanager
def _peft() -> Iterator[Any]:
    with warnings.catch_warnings():
        # Its import reads a property of transformers by its old name; its warnings on how the
        # adapter was trained say nothing of the update.
        warnings.simplefilter("ignore")
        import peft

        yield peft


def _read(part: Part) -> Tensor:
    return read(part.file, part.tensor, (slice(None),) * len(part.shape))


def _format(tensors: Sequence[Tensor]) -> torch.dtype:
    """Return the coarsest format that holds every entry of all tensors.

    Of all: a single tensor may be a few round numbers, which fit any.
    """
    rounded = [tensor for tensor in tensors if tensor.is_floating_point()]
    return next(
        dtype
        for dtype in FORMATS
        if all(torch.equal(tensor.to(dtype).to(tensor.dtype), tensor) for tensor in rounded)
    )


def _moved(tensor: Tensor, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    values = tensor.double()
    draw = torch.rand(values.shape, generator=generator, dtype=torch.float64) - 0.5
    return values + ulp_(values.clone(), dtype) * draw
