"""The matrices that one stored tensor holds, as each architecture lays them out.

Matrices come in the orientation (outputs, inputs) of `torch.nn.Linear`, whichever way they are
stored. Fused projections are listed whole and in parts.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from analysis.weights.facts import Facts
from analysis.weights.fused import Layout, expert_spans, is_conv1d, part_spans, parts_of
from analysis.weights.header import Stored
from analysis.weights.names import Name, is_conv_like, own
from analysis.weights.views import Span, View

QUERIES = {"q", "cross_q"}
KEYS_AND_VALUES = {"k", "v", "cross_k", "cross_v"}
OUTPUTS = {"o", "cross_o"}


@dataclass(frozen=True)
class Piece:
    """One matrix of a tensor; `word` is its label's view."""

    module: str
    word: str
    view: View
    kind: str  # "other" for what repeats entries of another piece


def pieces(stored: Stored, name: Name, layout: Layout, *, slices: bool = False) -> list[Piece]:
    """Return the matrices of one tensor: the whole, its fused parts, its experts or kernels.

    A fused whole comes first and has kind "other": its parts hold the same entries. Kernels are
    flattened to (O, I·k·k), or (O, I/groups·k·k), and sliced to (O, I) on request; the one slice
    of a kernel of size 1 is the flattened matrix and is not repeated.
    """
    if len(stored.shape) == 3 and _is_expert(name):
        return list(_experts(stored, name, layout))
    view = View.whole(stored.shape)
    if len(stored.shape) == 2:
        view = view.transposed() if is_conv1d(stored, layout) else view
        whole = Piece(name.module, "whole", view, name.kind)
        return _with_parts(whole, part_spans(stored, name, layout))
    if is_table(stored, name):
        return [Piece(name.module, "whole", view.at(0, 0), "embedding")]
    return list(_kernels(stored, name, slices))


def kernels(tensors: Sequence[Stored]) -> set[str]:
    """Return the names of the convolutions' kernels: any tensor with four axes or more is one.

    One with three axes may also be a stack of matrices. It is a kernel if its name says so, or has
    a bias or a batch norm's mean for each of its outputs: a stack's bias has two axes.
    """
    shapes = {tensor.name: tensor.shape for tensor in tensors}
    means = {shape for name, shape in shapes.items() if name.endswith(".running_mean")}

    def convolves(tensor: Stored) -> bool:
        if len(tensor.shape) != 3 or not tensor.name.endswith(".weight"):
            return len(tensor.shape) > 3
        bias = shapes.get(f"{own(tensor.name)}.bias")
        return is_conv_like(tensor.name) or tensor.shape[:1] in means | {bias}

    return {tensor.name for tensor in tensors if convolves(tensor)}


def is_table(stored: Stored, name: Name) -> bool:
    """Say whether a tensor is one matrix under a leading 1, as ViT keeps its positions."""
    return len(stored.shape) == 3 and stored.shape[0] == 1 and not name.kernel


def is_readable(stored: Stored, name: Name) -> bool:
    """Say whether a tensor of three or more dimensions has a known meaning."""
    return _is_expert(name) or is_table(stored, name) or name.kernel


def heads_of(piece: Piece, name: Name, facts: Facts) -> list[Piece]:
    """Return the heads of a projection, [] where the configuration gives no matching heads.

    Queries split by rows into the query heads, keys and values into the key/value heads, and the
    output projection by columns into the query heads.
    """
    module = piece.module.removeprefix(f"{name.stack}.")
    count = facts.groups if module in KEYS_AND_VALUES else facts.heads
    if module not in QUERIES | KEYS_AND_VALUES | OUTPUTS or not count or not facts.head_dim:
        return []
    rows, columns = piece.view.shape
    if (columns if module in OUTPUTS else rows) != count * facts.head_dim:
        return []
    return [
        Piece(piece.module, f"head {h}", _head(piece.view, h, facts.head_dim, module), "other")
        for h in range(count)
    ]


def _head(view: View, h: int, size: int, module: str) -> View:
    if module in OUTPUTS:
        columns = view.spans[view.column_axis]
        return view.with_columns(columns.run(h * size, (h + 1) * size))
    return view.with_rows(view.rows.run(h * size, (h + 1) * size))


def note_on(stored: Stored, name: Name, layout: Layout) -> str:
    """Return what a reader should know about a tensor that is a matrix, "" for nothing."""
    if len(stored.shape) == 3 and _is_expert(name):
        return _note_on_experts(name, layout)
    parts = parts_of(name.module)
    if parts and not part_spans(stored, name, layout):
        return f"kept whole: how it joins {', '.join(parts)} is not known without its configuration"
    if name.kernel and stored.shape[1] == 1 < stored.shape[0]:
        return "one input channel a filter: depthwise, or a grey image; its slices are n x 1"
    return ""


def slices_left_out(stored: Stored, name: Name) -> str:
    """Return why a kernel has no slices to list when they are asked for, "" where it has."""
    places, rows = math.prod(stored.shape[2:]), stored.shape[0]
    if not name.kernel or stored.shape[1] > 1 or places == 1:
        return ""
    return (
        f"{places} slices of {rows} x 1: one input channel a filter, so the only singular value of "
        "each is its norm"
    )


def _note_on_experts(name: Name, layout: Layout) -> str:
    if layout.experts_transposed is None:
        return "experts kept as stored: inputs and outputs cannot be told apart"
    unknown = parts_of(name.module) and not expert_spans(layout, 2)
    return "experts kept whole: the order of gate and up is not known" if unknown else ""


def _with_parts(whole: Piece, spans: list[Span], word: str = "") -> list[Piece]:
    """Return a fused matrix and its parts, or the matrix alone; `word` is every part's view."""
    if not spans:
        return [whole]
    parts = []
    for module, span in zip(parts_of(whole.module), spans, strict=True):
        view = whole.view.with_rows(span)
        parts.append(Piece(module, word or f"part {module.rpartition('.')[2]}", view, whole.kind))
    return [replace(whole, kind="other"), *parts]


def _is_expert(name: Name) -> bool:
    return name.module.rpartition(".")[2] in {"gate_up", "down", "gate", "up"} and name.known


def _experts(stored: Stored, name: Name, layout: Layout) -> Iterator[Piece]:
    for e in range(stored.shape[0]):
        view = View.whole(stored.shape).at(0, e)
        view = view.transposed() if layout.experts_transposed else view
        whole = Piece(name.module, f"expert {e}", view, name.kind)
        spans = expert_spans(layout, view.rows.length) if parts_of(name.module) else []
        yield from _with_parts(whole, spans, whole.word)


def _kernels(stored: Stored, name: Name, slices: bool) -> Iterator[Piece]:
    view = View.whole(stored.shape)
    yield Piece(name.module, "flattened", view, "conv")
    places = list(_places(stored.shape[2:]))
    if not slices or len(places) == 1:
        return
    for place in places:
        sliced = view
        for axis, i in enumerate(place, start=2):
            sliced = sliced.at(axis, i)
        yield Piece(name.module, f"slice {','.join(map(str, place))}", sliced, "conv")


def _places(sizes: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    if not sizes:
        yield ()
        return
    for i in range(sizes[0]):
        yield from ((i, *rest) for rest in _places(sizes[1:]))
