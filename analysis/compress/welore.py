"""WeLore: plain SVD factors for the layers that are low-rank, dense matrices for the others.

The factors are those of `svd`. What is WeLore's own is which layers get them: ranks by one
threshold on the normalised singular values of all layers (allocation rule "welore"), and then only
layers that lose at least `cutoff` of their rank are factored (LRC); the others stay dense (N-LRC).

Jaiswal et al. (2024), https://arxiv.org/abs/2407.11239
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from analysis.compress.nested import factors_of
from analysis.compress.pieces import Piece
from analysis.compress.registry import register


@dataclass(frozen=True)
class Params:
    """Which layers are factored."""

    layers: str = field(
        default="lrc",
        metadata={
            "help": "lrc: only those that lose at least the cutoff of their rank; all: every one",
            "choices": ("lrc", "all"),
        },
    )
    cutoff: float = field(
        default=0.5,
        metadata={"help": "share of its rank a layer must lose to be LRC", "min": 0.0, "max": 1.0},
    )


@register(title="WeLore", paper="https://arxiv.org/abs/2407.11239")
def welore(pieces: Sequence[Piece], _: Params) -> dict[str, Tensor]:
    """Return nested factors of the smallest ‖W - W'‖_F at every rank."""
    return factors_of(pieces, lambda piece: (None, None))
