"""The rank that each layer's update gets, so that all of them hold no more than a budget.

A direction of an m x n update holds m + n numbers and keeps σᵢ². Directions are taken one after the
other, by one of three rules:

    uniform   every layer's first direction, then every layer's second, ...: one rank for all, as
              far as they have it, and what is left of the budget for one more of some, by the next
    relative  by σᵢ² / Σσ² of the layer's own, per number
    total     by σᵢ² per number: ‖ΔW‖² of all layers together

No layer has a dense option, so the gain per number falls along every layer, and the last two are
the best allocation of what it holds, and within one direction of the best of the whole budget.
Neither is what a model loses by it. A direction that no longer fits closes its layer; the others go
on.
"""

from collections.abc import Sequence

import numpy as np

RULES = ("uniform", "relative", "total")


def ranks_within(
    budget: int, spectra: Sequence[np.ndarray], sizes: Sequence[int], rule: str
) -> list[int]:
    """Return a rank for each layer with Σ rank · size at most the budget.

    `spectra` holds σ² of each layer, descending, and `sizes` its m + n. A direction that keeps
    nothing is never taken. Raises ValueError for a budget below 0 and for an unknown rule.
    """
    if budget < 0:
        raise ValueError(f"expected a budget of at least 0 numbers, got {budget}")
    if rule not in RULES:
        raise ValueError(f"expected a rule of {', '.join(RULES)}, got {rule!r}")
    ranks, left = [0] * len(spectra), budget
    still = [True] * len(spectra)
    for layer in _in_order(spectra, sizes, rule):
        still[layer] = still[layer] and sizes[layer] <= left
        if still[layer]:
            ranks[layer] += 1
            left -= sizes[layer]
    return ranks


def _in_order(spectra: Sequence[np.ndarray], sizes: Sequence[int], rule: str) -> list[int]:
    """Return the layer of each direction, the first to be taken first."""
    if not spectra:
        return []
    whole = [1.0 if rule == "total" else s.sum() or 1.0 for s in spectra]
    gain = np.concatenate([s / w / n for s, w, n in zip(spectra, whole, sizes, strict=True)])
    layer = np.repeat(np.arange(len(spectra)), [len(s) for s in spectra])
    level = np.concatenate([np.arange(len(s)) for s in spectra])
    # By the last key first; both sorts are stable.
    order = np.lexsort((-gain, level)) if rule == "uniform" else np.argsort(-gain, kind="stable")
    found: list[int] = layer[order[gain[order] > 0]].tolist()
    return found
