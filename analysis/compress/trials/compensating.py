"""Room for a compensation in the size that was asked for: r(m + n) more for each replaced layer.

Which layers are replaced depends on what there is room for. Room is first kept for all of them, and
then only for those that were replaced, as long as that needs no more than was kept.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from analysis.compress.trials.choosing import Budget, Choice
from analysis.compress.trials.specs import Spec

ROUNDS = 8


def numbers_by_layer(spec: Spec, shapes: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    """Return what the compensation of each layer holds; {} without one."""
    if spec.compensation == "none":
        return {}
    return {
        layer: min(spec.compensation_rank, *shape) * sum(shape) for layer, shape in shapes.items()
    }


def with_room(
    choose: Callable[[Budget], Choice], budget: Budget, more: Mapping[str, int]
) -> Choice:
    """Return what `choose` makes of the budget, less what the replaced layers hold beside it."""
    kept = sum(more.values())
    found = choose(replace(budget, reserved=kept))
    for _ in range(ROUNDS):
        needed = _needed(found, more)
        if needed >= kept or not found.ranks:
            break
        other = choose(replace(budget, reserved=needed))
        if _needed(other, more) > needed:
            break
        found, kept = other, needed
    return found


def _needed(found: Choice, more: Mapping[str, int]) -> int:
    return sum(more.get(layer, 0) for layer, rank in found.ranks.items() if rank is not None)
