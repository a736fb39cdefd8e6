"""The checkpoints of one training run in order: what an analysis of unit "series" receives."""

from collections.abc import Iterator, Sequence

from analysis.weights.header import BadModel
from analysis.weights.matrix import Label, Matrix
from analysis.weights.reading import load
from analysis.weights.refs import MatrixRef
from analysis.weights.source import Source


class Series:
    """Chosen layers over the checkpoints of a run, one matrix in memory at a time.

    The newest checkpoint says which layers there are. Raises BadModel for a source that is no
    series, and for a layer that it does not list.
    """

    def __init__(self, source: Source, layers: Sequence[str] | None = None) -> None:
        if not source.steps:
            raise BadModel(
                f"{source.name} is one model: give a folder of checkpoints, whose subfolders' "
                "names end in the step (step_00100)"
            )
        self.source = source
        self.steps = tuple(step.number for step in source.steps)
        listed = source.matrices()
        unknown = set(layers or ()) - {ref.label.layer for ref in listed}
        if unknown:
            raise BadModel(f"{source.name} has no layer {min(unknown)!r}: choose one it lists")
        chosen = [ref for ref in listed if layers is None or ref.label.layer in layers]
        self.labels: tuple[Label, ...] = tuple(ref.label for ref in chosen)
        self._shapes = {ref.label.layer: ref.shape for ref in chosen}
        self._opened: tuple[int, dict[str, MatrixRef]] | None = None

    def matrices(self, step: int) -> Iterator[Matrix]:
        """Yield the chosen layers that this checkpoint holds, in the model's order."""
        held = self._held(step)
        for name in (label.layer for label in self.labels):
            if name in held:
                ref = held[name]
                yield Matrix(load(ref), ref.label, f"{ref.file}:{name}")

    def shape(self, layer: str) -> tuple[int, int]:
        """Return the rows and columns of a chosen layer in the newest checkpoint."""
        return self._shapes[layer]

    def missing(self, step: int) -> tuple[str, ...]:
        """Return the chosen layers that this checkpoint does not hold."""
        held = self._held(step)
        return tuple(label.layer for label in self.labels if label.layer not in held)

    def _held(self, step: int) -> dict[str, MatrixRef]:
        """Return a checkpoint's matrices by name; its headers are read once in a row."""
        if self._opened is None or self._opened[0] != step:
            found = {ref.label.layer: ref for ref in self.source.at(step).matrices()}
            self._opened = step, found
        return self._opened[1]
