"""The stages of a compression job, and what each leaves behind.

    calibrate    the layers of a few blocks   -> statistics.safetensors, rows
    factors      a method on one block        -> factors.safetensors, rows.json
    evaluation   the dense model              -> evaluation.json
    control      the dense model, trained     -> control.json
    sensitivity  a method on one block        -> rows.json
    trial        one size of all              -> the row of `analysis/trial.py`, saved weights

Each stage writes into a folder of its own and reads those of the stages that it comes after, so
that a sweep calibrates once, and factors each block once for each method.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis.compress.trials.specs import Spec
from analysis.networks.opened import OpenedModel
from analysis.registry import Array

STATISTICS = "statistics.safetensors"
FACTORS = "factors.safetensors"
ROWS = "rows.json"
EVALUATION = "evaluation.json"
CONTROL = "control.json"
WEIGHTS = "factored"  # a trial's folder of saved weights
OUTSIDE = "outside"  # the group of layers that are in no block


@dataclass(frozen=True)
class CalibrationRow:
    """How one layer was calibrated."""

    layer: str
    tokens: int
    inputs: int = field(metadata={"help": "n, the width of its input"})
    tokens_by_input: float = field(metadata={"help": "N/n; below 2 the Gram matrix is poor"})
    gradient: str = field(metadata={"help": "full, diagonal, scalar or none"})


@dataclass(frozen=True)
class FactorRow:
    """What one layer loses at every rank 0, 1, ..., K of one method: squared errors."""

    layer: str
    rows: int
    cols: int
    method: str
    tokens: int
    plain: tuple[float, ...] = field(metadata={"help": "‖W - W_k‖²; empty: sizes of its own"})
    whitened: tuple[float, ...] = field(metadata={"help": "‖(W - W_k) G^½‖²; empty: no Gram"})
    heldout: tuple[float, ...] = field(metadata={"help": "the same on held-out windows"})
    expected: tuple[float, ...] = field(
        metadata={
            "help": "½E[z²] in nats per token, z = gᵀ(W - W_k)x at tokens of held-out windows, or "
            "½‖A^½(W - W_k)G^½‖² where a layer's rows are not tokens; empty: no gradient"
        }
    )
    first_order: tuple[float, ...] = field(
        metadata={"help": "<E[∂L/∂W], W_k - W> in nats per token, of either sign"}
    )
    sample: str = field(default="", metadata={"help": "which tokens and labels; empty: none"})
    levels: tuple[float, ...] = field(
        default=(), metadata={"help": "the ranks of which `directions` has z"}
    )
    directions: Array | None = field(
        default=None,
        metadata={"help": "z at those ranks, each with a mean square of 1 (levels x tokens)"},
    )


@dataclass(frozen=True)
class EvaluationRow:
    """The dense model, measured; or a control that was trained."""

    metric: str
    score: float
    perplexity: float | None
    bits_per_byte: float | None
    accuracy: float | None
    evaluated_on: str


@dataclass(frozen=True)
class SensitivityRow:
    """The loss with only one layer compressed to a share of its parameters."""

    layer: str
    kept: float
    rank: int
    loss: float


STAGES: dict[str, type] = {
    "calibrate": CalibrationRow,
    "factors": FactorRow,
    "evaluation": EvaluationRow,
    "control": EvaluationRow,
    "sensitivity": SensitivityRow,
}


@dataclass(frozen=True, eq=False)
class Given:
    """What a trial is made of."""

    opened: OpenedModel  # `layers` are the chosen ones
    spec: Spec
    params: Any  # of analysis/trial.py
    factors: Mapping[str, Path]  # group ("block 3", "outside") to the folder of its factors
    statistics: Mapping[str, Path]  # group to the folder of its statistics; {}: none were needed
    dense: Path  # the folder of its evaluation
    control: Path | None = None
    base: Path | None = None  # the folder of the base's evaluation, beside an update's
    sensitivity: Mapping[str, Path] = field(default_factory=dict)
    weights: Path | None = None  # where the result is saved; None: not
    record: Mapping[str, Any] = field(default_factory=dict)  # hashes, date, name of the model


def group_name(block: int | None) -> str:
    """Return the name of a block's group."""
    return OUTSIDE if block is None else f"block {block}"
