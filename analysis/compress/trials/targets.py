"""The layers of a running network that a compression trial replaces, and their replacement.

A layer is a whole `nn.Linear` or `Conv1D` (GPT-2's, which stores its weight transposed), or some
outputs of one that joins several projections. It is found by the parameter that its label's tensor
names, so no family of models is special.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from analysis.compress.forms import Parts
from analysis.compress.pieces import Heads, Piece, Statistics
from analysis.compress.trials.places import Finder, Place
from analysis.compress.trials.stages import group_name
from analysis.networks.errors import NotRunnable
from analysis.networks.opened import OpenedModel
from analysis.weights.labels import Label
from analysis.weights.refs import MatrixRef
from analysis.weights.source import Source


@dataclass(frozen=True)
class Target:
    """One layer's matrix W, (m, n) out x in, inside a module of a network."""

    layer: str  # display name, as in the rank profile
    module: str  # path in `network.named_modules()`
    rows: tuple[int, int] | None  # the module's outputs that are meant; None: all
    shape: tuple[int, int]
    block: int | None
    role: str  # "q", "up", ... or its own name
    conv1d: bool  # the module stores W transposed


def targets(
    opened: OpenedModel, network: nn.Module, layers: Sequence[str] | None = None
) -> tuple[list[Target], list[tuple[str, str]]]:
    """Return the layers that can be replaced, in the model's order, and the others with reasons.

    `layers` None takes the labels of kind "linear", which the trade-offs count; a name that is
    given may be of another kind, such as an untied head. Raises NotRunnable for a name that the
    model does not have, and for a difference of two models.
    """
    finder, found, skipped = Finder(network), list[Target](), list[tuple[str, str]]()
    for ref in _chosen(opened.source, layers):
        place = finder.place(ref)
        reason = place if isinstance(place, str) else _overlap(place, found)
        if isinstance(place, str) or reason:
            skipped.append((ref.label.layer, reason))
        else:
            found.append(_target(ref.label, place))
    return found, skipped


def weight(network: nn.Module, target: Target) -> Tensor:
    """Return W (m, n) in its own dtype, as a detached view."""
    held = _tensor(network.get_submodule(target.module), "weight").detach()
    W = held.T if target.conv1d else held
    return W if target.rows is None else W[slice(*target.rows)]


def bias(network: nn.Module, target: Target) -> Tensor | None:
    """Return the bias of a layer's outputs (m,) as a detached view, None where it has none."""
    module = network.get_submodule(target.module)
    if getattr(module, "bias", None) is None:
        return None
    held = _tensor(module, "bias").detach()
    return held if target.rows is None else held[slice(*target.rows)]


def pieces(
    network: nn.Module,
    found: Sequence[Target],
    statistics: Mapping[str, Statistics] | None = None,
    heads: Heads | None = None,
) -> list[Piece]:
    """Return what a method is given of some targets; `statistics` by layer."""
    known = statistics or {}
    return [
        Piece(t.layer, t.role, t.block, weight(network, t), known.get(t.layer), heads)
        for t in found
    ]


def group_of(target: Target) -> str:
    """Return the name of the group that a method sees at once: "block 3" or "outside"."""
    return group_name(target.block)


def heads_of(opened: OpenedModel) -> Heads | None:
    """Return how attention splits by the configuration, None where it does not say."""
    facts = opened.source.run.facts
    if not (facts.heads and facts.groups and facts.head_dim):
        return None
    return Heads(facts.heads, facts.groups, facts.head_dim)


def replace(network: nn.Module, forms: Mapping[str, nn.Module], found: Sequence[Target]) -> None:
    """Put forms (by layer) in the places of the modules that hold their targets, and wire them.

    Each form gets its layer's bias, device and dtype. A module of which only some outputs are
    replaced becomes `Parts`, whose other parts stay dense. Raises ValueError for a form whose
    layer is no target, before anything is replaced.
    """
    missing = forms.keys() - {target.layer for target in found}
    if missing:
        raise ValueError(f"expected forms of targets only, got {sorted(missing)}")
    by_module: dict[str, list[Target]] = {}
    for target in found:
        if target.layer in forms:
            by_module.setdefault(target.module, []).append(target)
    for path, inside in by_module.items():
        old = network.get_submodule(path)
        new = _replacement(network, forms, inside)
        parent, _, leaf = path.rpartition(".")
        setattr(network.get_submodule(parent), leaf, new.train(old.training))
    _wire(network)


def _replacement(
    network: nn.Module, forms: Mapping[str, nn.Module], inside: Sequence[Target]
) -> nn.Module:
    for target in inside:
        _settle(forms[target.layer], network, target)
    if inside[0].rows is None:
        return forms[inside[0].layer]
    placed = {target.rows: forms[target.layer] for target in inside}
    edges = {0, _outputs(network, inside[0])}.union(*(rows for rows in placed if rows))
    return Parts(
        [placed.get(rows) or _dense(network, inside[0], rows) for rows in pairwise(sorted(edges))]
    )


def _settle(form: nn.Module, network: nn.Module, target: Target) -> None:
    """Give a form its layer's bias, and its parameters the layer's device and dtype."""
    W, b = weight(network, target), bias(network, target)
    form.to(W.device)
    for parameter in form.parameters():
        # Not `form.to(dtype)`: scales are buffers that count at their own width.
        parameter.data = parameter.data.to(W.dtype)
    setattr(form, "bias", None if b is None else nn.Parameter(b.clone()))  # noqa: B010


def _dense(network: nn.Module, target: Target, rows: tuple[int, int]) -> nn.Linear:
    """Return the rows of a fused module that stay as they are, as a module of their own."""
    whole = _tensor(network.get_submodule(target.module), "weight").detach()
    W = (whole.T if target.conv1d else whole)[slice(*rows)]
    module = network.get_submodule(target.module)
    linear = nn.Linear(W.shape[1], W.shape[0], bias=False, device="meta")
    linear.weight = nn.Parameter(W.clone(memory_format=torch.contiguous_format))
    if getattr(module, "bias", None) is not None:
        linear.bias = nn.Parameter(_tensor(module, "bias").detach()[slice(*rows)].clone())
    return linear


def _outputs(network: nn.Module, target: Target) -> int:
    held = _tensor(network.get_submodule(target.module), "weight")
    return held.shape[1 if target.conv1d else 0]


def _wire(network: nn.Module) -> None:
    """Let the forms that share another's tensors find it by its path."""
    paths = dict(network.named_modules())
    for module in paths.values():
        wire: Any = getattr(module, "wire", None)
        if wire is not None:
            wire(paths)


def _tensor(module: nn.Module, name: str) -> Tensor:
    held = getattr(module, name)
    assert isinstance(held, Tensor)
    return held


def _chosen(source: Source, layers: Sequence[str] | None) -> list[MatrixRef]:
    if source.kind == "delta":
        raise NotRunnable(
            f"{source.name} is the difference of two models: open the fine-tuned one without a base"
        )
    refs = source.run.matrices()
    if layers is None:
        return [ref for ref in refs if ref.label.kind == "linear"]
    known = {ref.label.layer for ref in refs}
    for layer in layers:
        if layer not in known:
            raise NotRunnable(f"{source.name} has no layer {layer!r}: choose one it lists")
    return [ref for ref in refs if ref.label.layer in layers]


def _target(label: Label, at: Place) -> Target:
    return Target(label.layer, at.module, at.rows, at.shape, label.block, label.module, at.conv1d)


def _overlap(place: Place, found: Sequence[Target]) -> str:
    """Return which earlier target has entries of a place, "" where none has."""
    for other in found:
        if other.module == place.module and _meet(other.rows, place.rows):
            return f"holds entries of {other.layer}, which is chosen too"
    return ""


def _meet(a: tuple[int, int] | None, b: tuple[int, int] | None) -> bool:
    return a is None or b is None or (a[0] < b[1] and b[0] < a[1])
