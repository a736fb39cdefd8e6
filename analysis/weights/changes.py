"""An opened update of a base model: the base's matrices, with ΔW in the place of W."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from analysis.weights.header import Stored
from analysis.weights.refs import MatrixRef, TensorInfo
from analysis.weights.source import Source
from analysis.weights.updates import Update, view_of


@dataclass(frozen=True)
class Changes(Source):
    """An adapter, or a fine-tuned model against its base; `stored` lists its own tensors.

    Layers have the base's names and kinds. Parameters, bytes and dtype are the update's own.
    """

    updates: Mapping[str, Update] = field(default_factory=dict, repr=False)  # by base tensor
    homes: Mapping[str, str] = field(default_factory=dict, repr=False)  # own tensor: base tensor
    reasons: Mapping[str, str] = field(default_factory=dict, repr=False)  # own tensor: why skipped
    lone: tuple[Stored, ...] = field(default=(), repr=False)  # tensors of the base alone
    method: str = ""  # of an adapter: PEFT's name for its type

    @property
    def _base(self) -> Source:
        assert self.base is not None
        return self.base

    @cached_property
    def architecture(self) -> str:
        """The base's, after an adapter's type."""
        return (
            f"{self.method} of {self._base.architecture}" if self.method else super().architecture
        )

    @property
    def blocks(self) -> int:
        """The number of blocks of the base."""
        return self._base.blocks

    @property
    def flops(self) -> str | None:
        """The arithmetic of one token of the base, into which the update can be merged."""
        return self._base.flops

    def tensors(self, step: int | None = None) -> list[TensorInfo]:
        """Return the update's own tensors in the base's order, under the layers they change."""
        if step is not None:
            return self.at(step).tensors()
        known = {info.name: info for info in self._base.tensors()}
        order = {name: i for i, name in enumerate(known)}
        own = [self._row(tensor, known) for tensor in self.stored]
        own.sort(key=lambda info: order.get(self.homes.get(info.name, ""), len(order)))
        return own + [
            replace(known[tensor.name], state="skipped", reason="only in the base")
            for tensor in self.lone
        ]

    def matrices(
        self, *, heads: bool = False, slices: bool = False, step: int | None = None
    ) -> list[MatrixRef]:
        """Return ΔW of every base matrix that is changed, with views as `Source.matrices`."""
        if step is not None:
            return self.at(step).matrices(heads=heads, slices=slices)
        refs = self._base.matrices(heads=heads, slices=slices)
        return [self._change(ref) for ref in refs if ref.tensor in self.updates]

    def left_out(self, *, slices: bool = False) -> list[tuple[str, str]]:
        """Return, of the slices asked for, those that `matrices` does not list."""
        layers = {ref.label.layer.split("[")[0] for ref in self.matrices()}
        found = self._base.left_out(slices=slices)
        return [(layer, reason) for layer, reason in found if layer.split("[")[0] in layers]

    def _change(self, ref: MatrixRef) -> MatrixRef:
        update = self.updates[ref.tensor]
        first = update.parts[1 if update.how == "peft" else 0]
        label = replace(ref.label, view=view_of(ref.label.view))
        return replace(ref, label=label, file=first.file, dtype=first.dtype, update=update)

    def _row(self, tensor: Stored, known: Mapping[str, TensorInfo]) -> TensorInfo:
        home = known.get(self.homes.get(tensor.name, ""))
        reason = self.reasons.get(tensor.name, "")
        note = "" if reason or home is None or home.name == tensor.name else f"changes {home.name}"
        return TensorInfo(
            tensor.name, tensor.file, tensor.dtype, tensor.shape, tensor.parameters, tensor.bytes,
            home.layer if home else "", home.block if home else None, home.module if home else "",
            "skipped" if reason else "matrix", reason or note,
        )  # fmt: skip
