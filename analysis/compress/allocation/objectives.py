"""What an allocation counts as lost, by name: which curve of a method, and how layers weigh.

expected   ½E[(gᵀ(W - W')x)²] in nats per token, over tokens that no factor was fitted to, added up
           over the layers: the curvature of the loss by each layer alone, without its slope and
           without what layers add to each other
whitened   ‖(W - W')X‖² relative to the layer's own ‖WX‖²
relative   ‖W - W'‖² relative to the layer's own ‖W‖²
total      ‖W - W'‖² of all layers together
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analysis.compress.allocation.curves import Curves, Losses

FIELDS = {
    "expected": ("expected", "total"),
    "whitened": ("whitened", "relative"),
    "relative": ("plain", "relative"),
    "total": ("plain", "total"),
}
RELIABLE = 0.3  # nats: a predicted change of loss above it says little


def known(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the objectives that every one of a method's factor rows can answer, the best first."""
    return [name for name, (column, _) in FIELDS.items() if all(len(row[column]) for row in rows)]


def chosen(asked: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the objective to use: the one asked for, or for "auto" the best that is known.

    Raises ValueError where the rows do not have what is asked for.
    """
    found = known(rows)
    if asked == "auto":
        return found[0]
    if asked not in found:
        raise ValueError(f"expected an objective of {', '.join(found)}, got {asked!r}")
    return asked


def curves(rows: Sequence[Mapping[str, Any]], objective: str, form: str) -> tuple[Curves, str]:
    """Return the curves of the factor rows, and the weighing that `Allocator` is to be given."""
    column, weighing = FIELDS[objective]
    losses = [Losses(int(r["rows"]), int(r["cols"]), np.asarray(r[column], float)) for r in rows]
    return Curves.of_losses(losses, form), weighing
