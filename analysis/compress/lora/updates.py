"""The updates of an opened model that a LoRA can carry, and the sentence for each that it cannot.

A LoRA changes modules, so a fused projection is one update and no part of it is. Modules are known
by their paths in the running network: files may leave out the prefix that the network has.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from analysis.compress.export.skeleton import skeleton_of
from analysis.compress.trials.places import Finder
from analysis.networks.errors import NotRunnable
from analysis.weights.bases import Modules
from analysis.weights.changes import Changes
from analysis.weights.header import Stored
from analysis.weights.matrix import Matrix
from analysis.weights.reading import load, read
from analysis.weights.refs import MatrixRef
from analysis.weights.source import Source
from analysis.weights.updates import of_the_whole

WEIGHT = ".weight"


@dataclass(frozen=True, eq=False)
class LayerUpdate:
    """ΔW of one module, outputs x inputs; its matrix gives stored factors or the whole."""

    layer: str
    tensor: str  # of the base
    module: str  # path in the running network
    conv1d: bool  # the network stores inputs x outputs
    matrix: Matrix


def updates(source: Source) -> Iterator[LayerUpdate]:
    """Yield what an adapter or a fine-tuned model adds to each module that a LoRA can change.

    Nothing is read until a matrix is asked for it.
    """
    finder = _finder(source)
    for ref in source.matrices():
        module, reason = _place(ref, finder)
        if not reason:
            matrix = Matrix(load(ref), ref.label, ref.tensor)
            yield LayerUpdate(ref.label.layer, ref.tensor, module, ref.view.row_axis == 1, matrix)


def left_out(source: Source) -> list[tuple[str, str]]:
    """Return the changed tensors that `updates` does not yield, each with its reason.

    Of a fine-tuned model those that are what they are in the base are not listed.
    """
    if not isinstance(source, Changes):
        return []
    finder, taken = _finder(source), {update.tensor for update in updates(source)}
    why = {ref.tensor: _place(ref, finder)[1] for ref in source.matrices()}
    reasons = dict(source.reasons)
    reasons |= {own: why[home] for own, home in source.homes.items() if home not in taken}
    return [(name, reason) for name, reason in reasons.items() if _changed(source, name)]


def _place(ref: MatrixRef, finder: Finder | None) -> tuple[str, str]:
    """Return the path of the module that a matrix is the weight of, or why there is none."""
    view = of_the_whole(ref.label.view)
    if view.startswith("part "):
        return "", "a part of a fused projection, whose whole is taken"
    if view != "whole" or ref.label.kind in {"embedding", "conv"}:
        what = ref.label.kind if view == "whole" else view
        return "", f"{what}: a LoRA of linear layers does not carry its change"
    if finder is None:
        path = ref.tensor.removesuffix(WEIGHT)
        return path, "" if path != ref.tensor else "a parameter of its own, no linear layer"
    found = finder.place(ref)
    return ("", found) if isinstance(found, str) else (found.module, "")


def _finder(source: Source) -> Finder | None:
    """Return what finds modules in the base's network; None where nothing can run it."""
    try:
        return Finder(skeleton_of(source.base or source))
    except NotRunnable:
        return None  # a plain state dict: its own names are all that is known


def _changed(source: Changes, name: str) -> bool:
    """Say whether a tensor of a fine-tuned model is another one in its base, or may be."""
    own = next((tensor for tensor in source.stored if tensor.name == name), None)
    other = None if source.base is None else Modules(source.base).find(name)
    if source.kind != "delta" or own is None or other is None or own.shape != other.shape:
        return True
    return not torch.equal(_values(own), _values(other))


def _values(stored: Stored) -> torch.Tensor:
    return read(stored.file, stored.name, (slice(None),) * len(stored.shape))
