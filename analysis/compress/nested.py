"""What methods whose answer is a truncated decomposition share: from pieces to nested factors."""

from collections.abc import Callable, Sequence

from torch import Tensor

from analysis.compress.pieces import NonFiniteLayer, Piece, Statistics
from analysis.numerics.weighted_truncation import nested_factors
from analysis.registry import AnalysisError

Weights = tuple[Tensor | None, Tensor | None]  # of the outputs and of the inputs


def factors_of(pieces: Sequence[Piece], weights: Callable[[Piece], Weights]) -> dict[str, Tensor]:
    """Return "{layer}.B" (m x K) and "{layer}.A" (K x n) of each piece under its weights.

    Raises NonFiniteLayer for a layer whose matrix or weights hold NaN or infinity.
    """
    found: dict[str, Tensor] = {}
    for piece in pieces:
        if not piece.W.isfinite().all():
            raise NonFiniteLayer(piece.layer, "its weight")
        left, right = weights(piece)
        if any(weight is not None and not weight.isfinite().all() for weight in (left, right)):
            raise NonFiniteLayer(piece.layer, "its calibration")
        B, A = nested_factors(piece.W, left, right)
        found |= {f"{piece.layer}.B": B, f"{piece.layer}.A": A}
    return found


def calibrated(piece: Piece, method: str) -> Statistics:
    """Return the statistics of a piece. Raises AnalysisError where no calibration read any."""
    if piece.statistics is None:
        raise AnalysisError(
            f"{method} weighs {piece.layer} by the inputs it sees, and no calibration has read "
            "any: calibrate the model on a text first, or choose svd, which needs none"
        )
    return piece.statistics


def learned(found: Tensor | None, piece: Piece, method: str) -> Tensor:
    """Return what a backward pass found. Raises AnalysisError where there was none."""
    if found is None:
        raise AnalysisError(
            f"{method} needs gradients of the loss at {piece.layer}, and this calibration has "
            "none: calibrate with gradients, or choose whitened_svd, which needs none (a model "
            "without a language head has no loss)"
        )
    return found
