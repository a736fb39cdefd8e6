"""What an opened model lists: its tensors, and where each labelled matrix lies."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from analysis.weights.updates import Update
from analysis.weights.views import Span, View

if TYPE_CHECKING:
    from analysis.weights.matrix import Label


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a model's files, and whether it is analysed."""

    name: str
    file: str
    dtype: str
    shape: tuple[int, ...]
    parameters: int
    bytes: int
    layer: str
    block: int | None
    module: str
    state: Literal["matrix", "skipped"]
    reason: str = ""  # why it is skipped; of a matrix, a note or ""


@dataclass(frozen=True)
class MatrixRef:
    """Where one labelled matrix lies: all that a worker needs to read it.

    With an `update` the matrix is ΔW of the tensor, seen through the view.
    """

    label: "Label"
    file: str
    tensor: str
    shape: tuple[int, int]
    dtype: str
    view: View
    update: Update | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that the matrix is made from, each once."""
        return (self.file,) if self.update is None else self.update.files

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "MatrixRef":
        """Return what `to_dict` wrote."""
        from analysis.weights.matrix import Label

        spans = tuple(Span(**span) for span in data["view"]["spans"])
        view = View(spans, data["view"]["row_axis"])
        rows, columns = data["shape"]
        return cls(
            Label(**data["label"]),
            data["file"],
            data["tensor"],
            (rows, columns),
            data["dtype"],
            view,
            Update.from_dict(data["update"]) if data.get("update") else None,
        )
