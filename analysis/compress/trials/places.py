"""Where a stored matrix lies among a network's modules, or why nothing can be put in its place."""

from collections import Counter
from dataclasses import dataclass

from torch import nn

from analysis.networks.blocks import no_parameter, parameter_name
from analysis.weights.refs import MatrixRef
from analysis.weights.views import Span


@dataclass(frozen=True)
class Place:
    """Some or all outputs of one linear module."""

    module: str  # path in `network.named_modules()`
    rows: tuple[int, int] | None  # the module's outputs that are meant; None: all
    shape: tuple[int, int]  # (m, n) out x in
    conv1d: bool  # the module stores W transposed


class Finder:
    """Where the matrices of a source lie in a network."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._parameters = dict(network.named_parameters(remove_duplicate=False))
        self._uses = Counter(id(parameter) for parameter in self._parameters.values())

    def place(self, ref: MatrixRef) -> Place | str:
        """Return the place of a matrix, or why it cannot be replaced there."""
        name = parameter_name(ref.tensor, self._parameters, self._network)
        if name is None:
            return no_parameter(ref, self._network)
        path, _, leaf = name.rpartition(".")
        module = self._network.get_submodule(path)
        reason = self._unfit(ref, name, module if leaf == "weight" else None)
        if reason:
            return reason
        conv1d, span = _is_conv1d(module), ref.view.rows
        rows = None if span.length == span.size else (span.start, span.stop)
        shape = (span.length, self._parameters[name].shape[0 if conv1d else 1])
        return Place(path, rows, shape, conv1d)

    def _unfit(self, ref: MatrixRef, name: str, module: nn.Module | None) -> str:
        parameter, spans = self._parameters[name], ref.view.spans
        if len(spans) != 2 or parameter.dim() != 2:
            return f"is a part of {ref.tensor}, a stack of {parameter.dim()} dimensions"
        if module is None or not (type(module) is nn.Linear or _is_conv1d(module)):
            kind = (
                "a parameter of its own" if module is None else f"of type {type(module).__name__}"
            )
            return f"is {kind}, no linear layer"
        if self._uses[id(parameter)] > 1:
            others = (n for n, p in self._parameters.items() if p is parameter and n != name)
            return f"is tied to {next(others).removesuffix('.weight')}"
        if any(span.length != span.stop - span.start for span in spans):
            return f"is interleaved with others in {ref.tensor}: name the whole of it instead"
        return _orientation(ref, module)


def _orientation(ref: MatrixRef, module: nn.Module) -> str:
    """Return why the rows of a view are no outputs of its module, "" where they are."""
    whole = all(span == Span.all(span.size) for span in ref.view.spans)
    as_stored = ref.view.row_axis == (1 if _is_conv1d(module) else 0)
    columns = ref.view.spans[ref.view.column_axis]
    if whole or (as_stored and columns.length == columns.size):
        return ""
    return f"holds only some inputs of {ref.tensor}"


def _is_conv1d(module: nn.Module) -> bool:
    # By name: its import takes a second, and a chain of layers needs no transformers.
    kind = type(module)
    return kind.__name__ == "Conv1D" and kind.__module__ == "transformers.pytorch_utils"
