"""An opened model: what its tensors are, and the labelled matrices in them. Headers only.

No torch is imported until matrices are asked for, so a page can describe a model.
"""

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from analysis.weights.facts import Facts, facts_of
from analysis.weights.flops import flops_per_token
from analysis.weights.fused import Layout, is_conv1d, layout_of
from analysis.weights.header import BadModel, Stored
from analysis.weights.names import Name, name_tensors, own, reading_order
from analysis.weights.pieces import (
    Piece,
    heads_of,
    kernels,
    note_on,
    pieces,
    slices_left_out,
)
from analysis.weights.refs import MatrixRef, TensorInfo
from analysis.weights.series import Step
from analysis.weights.skipping import is_head_too, reasons, tied_to

Kind = Literal["transformers", "state_dict", "series", "adapter", "delta"]
RUNNING = (".running_mean", ".running_var")


@dataclass(frozen=True)
class Source:
    """A model on disk. A series shows its newest checkpoint; `at` gives the others."""

    name: str
    path: Path  # resolved
    origin: str  # hub id, or the path as given
    kind: Kind
    stored: tuple[Stored, ...] = field(repr=False)
    config: dict[str, Any] = field(repr=False)
    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    allow_pickle: bool = False
    base: "Source | None" = None  # what an adapter or a fine-tuned model changes

    @cached_property
    def facts(self) -> Facts:
        """What the configuration says."""
        return facts_of(self.config)

    @cached_property
    def names(self) -> dict[str, Name]:
        """What each tensor is, by its name in the file."""
        tied = {t.name for t in self.stored if t.same_as}
        names = name_tensors(t.name for t in self.stored if t.name not in tied)
        names |= {name: Name(own(name), own(name)) for name in tied}
        names |= {name: _kernel(name, names[name]) for name in kernels(self.stored)}
        return {t.name: names[t.name] for t in self.stored}

    @cached_property
    def architecture(self) -> str:
        """The class in the configuration, or what the shapes show."""
        if self.facts.architecture:
            return self.facts.architecture
        used = [self.names[t.name] for t in self.stored if t.name not in self._reasons]
        return "conv net" if any(name.kernel for name in used) else "state dict"

    @cached_property
    def parameters(self) -> int:
        """The number of parameters: tied ones once, buffers left out."""
        return sum(t.parameters for t in self.stored if self._is_parameter(t))

    @cached_property
    def blocks(self) -> int:
        """The number of blocks, over all stacks."""
        matrices = (self.names[t.name] for t in self.stored if t.name not in self._reasons)
        return len({(n.stack, n.block) for n in matrices if n.block is not None})

    @cached_property
    def dtype(self) -> str:
        """The dtype of most parameters."""
        entries = Counter[str]()
        for tensor in self.stored:
            entries[tensor.dtype] += tensor.parameters
        return entries.most_common(1)[0][0]

    @cached_property
    def bytes(self) -> int:
        """The stored bytes of all tensors."""
        return sum(t.bytes for t in self.stored if not t.same_as)

    @property
    def run(self) -> "Source":
        """What runs: of an adapter its base, into which it is merged; any other model itself."""
        return self.base if self.kind == "adapter" and self.base is not None else self

    @property
    def run_parameters(self) -> int:
        """The parameters of what runs, and beside them an adapter's own."""
        return self.parameters + (0 if self.run is self else self.run.parameters)

    @property
    def run_bytes(self) -> int:
        """The stored bytes of what runs, and beside them an adapter's own."""
        return self.bytes + (0 if self.run is self else self.run.bytes)

    @cached_property
    def flops(self) -> str | None:
        """The arithmetic of one token, as `flops_per_token` counts it."""
        return flops_per_token(self.stored, self.names, self.facts, self._tied)

    def at(self, step: int) -> "Source":
        """Open one checkpoint of a series. Raises BadModel when it has no such step."""
        from analysis.weights.opening import open_model

        for found in self.steps:
            if found.number == step:
                base = None if self.base is None else self.base.path
                return open_model(found.path, allow_pickle=self.allow_pickle, base=base)
        known = ", ".join(str(found.number) for found in self.steps) or "it is no series"
        raise BadModel(f"{self.path} has no step {step}: choose one of its steps ({known})")

    def tensors(self, step: int | None = None) -> list[TensorInfo]:
        """Return every tensor of the files, with the reason of each that is skipped."""
        if step is not None:
            return self.at(step).tensors()
        return [self._info(tensor) for tensor in self._ordered]

    def matrices(
        self, *, heads: bool = False, slices: bool = False, step: int | None = None
    ) -> list[MatrixRef]:
        """Return every matrix: wholes and fused parts; heads and kernel slices on request.

        The label's kind is "linear" for matrices that low-rank methods may replace, each entry of
        which is counted once: heads, and a fused whole beside its parts, are "other". A view with
        a single row or column is left out, as the tensor's note and `left_out` say.
        """
        if step is not None:
            return self.at(step).matrices(heads=heads, slices=slices)
        usable = [t for t in self._ordered if t.name not in self._reasons]
        return [ref for tensor in usable for ref in self._refs(tensor, heads, slices)]

    def left_out(self, *, slices: bool = False) -> list[tuple[str, str]]:
        """Return, of the slices asked for, those that `matrices` does not list: name and reason."""
        if not slices:
            return []
        usable = [t for t in self._ordered if t.name not in self._reasons]
        found = [(self.names[t.name], slices_left_out(t, self.names[t.name])) for t in usable]
        return [(f"{name.layer}[slices]", reason) for name, reason in found if reason]

    def skipped(self) -> dict[str, str]:
        """Return, by name, why each tensor that is no matrix is skipped."""
        return dict(self._reasons)

    def is_transposed(self, tensor: Stored) -> bool:
        """Say whether a matrix is stored as (inputs, outputs), as GPT-2's are."""
        return is_conv1d(tensor, self._layout)

    @cached_property
    def _ordered(self) -> list[Stored]:
        return sorted(self.stored, key=lambda t: reading_order(t.name, self.names[t.name]))

    @cached_property
    def _tied(self) -> dict[str, str]:
        return tied_to(self.stored, self.names, self.facts)

    @cached_property
    def _reasons(self) -> dict[str, str]:
        return reasons(self.stored, self.names, self.facts)

    @cached_property
    def _layout(self) -> Layout:
        return layout_of(self.stored, self.names, self.facts)

    def _is_parameter(self, tensor: Stored) -> bool:
        buffer = tensor.dtype == "bool" or tensor.dtype in {"int64", "int32", "int16"}
        return not (buffer or tensor.name.endswith(RUNNING) or tensor.name in self._tied)

    def _info(self, tensor: Stored) -> TensorInfo:
        name, reason = self.names[tensor.name], self._reasons.get(tensor.name)
        return TensorInfo(
            tensor.name, tensor.file, tensor.dtype, tensor.shape, tensor.parameters, tensor.bytes,
            name.layer, name.block, name.module,
            "matrix" if reason is None else "skipped",
            self._note(tensor) if reason is None else reason,
        )  # fmt: skip

    def _note(self, tensor: Stored) -> str:
        name, modules = self.names[tensor.name], {n.module for n in self.names.values()}
        if name.module == "embed" and "head" not in modules and is_head_too(self.facts):
            return "tied: it is the head too"
        return note_on(tensor, name, self._layout)

    def _refs(self, tensor: Stored, heads: bool, slices: bool) -> list[MatrixRef]:
        name, found = self.names[tensor.name], []
        for piece in pieces(tensor, name, self._layout, slices=slices):
            split = heads_of(piece, name, self.facts) if heads else []
            found += [self._ref(tensor, name, p) for p in (piece, *split) if min(p.view.shape) > 1]
        return found

    def _ref(self, tensor: Stored, name: Name, piece: Piece) -> MatrixRef:
        from analysis.weights.matrix import Label

        label = Label(
            _layer(name, piece),
            tensor.name,
            piece.module,
            name.block,
            _word(name, piece),
            piece.kind,
        )
        return MatrixRef(
            label, tensor.file, tensor.name, piece.view.shape, tensor.dtype, piece.view
        )


def _layer(name: Name, piece: Piece) -> str:
    """Return the unique display name: "blocks.3.v", "blocks.3.v[head 2]", "conv1[flattened]"."""
    base = re.sub(rf"{re.escape(name.module)}$", piece.module, name.layer)
    word = _word(name, piece)
    named = base != name.layer if word.startswith("part ") else word == "whole"
    return base if named else f"{base}[{word}]"


def _word(name: Name, piece: Piece) -> str:
    return piece.word if name.expert is None else f"expert {name.expert}"


def _kernel(tensor: str, name: Name) -> Name:
    """Give a kernel its own name for a module: conv nets are listed by layer, not by block."""
    stem = own(tensor)
    return replace(name, kernel=True) if name.known else Name(stem, stem, kernel=True)
