"""In which order the layers of a chain run, which their file does not say.

The numbers in their names give it; or else their sizes, where a single order fits.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, pairwise

from analysis.networks.errors import NotRunnable

MOST_TRIED = 10_000  # layers put after others, before the search is given up

Follows = Callable[[int, int], bool]  # whether layer b can stand right after layer a


def by_number(name: str) -> list[tuple[int, str]]:
    """Return what sorts names by the numbers in them: fc10 comes after fc9."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def is_numbered(names: Sequence[str]) -> bool:
    """Say whether numbers give the order of sorted names: conv0, fc1, but not conv1, fc1."""
    numbers = [[int(part) for part in re.findall(r"\d+", name)] for name in names]
    return len(names) == 1 or all(a and b and a < b for a, b in pairwise(numbers))


def of(names: Sequence[str], follows: Follows) -> list[tuple[int, ...]]:
    """Return the order of sorted names: none that fits, one, or two of several.

    Names that only differ in their numbers stay in the order of these. Raises NotRunnable where
    the search is too long.
    """
    if is_numbered(names):
        fits = all(follows(i, i + 1) for i in range(len(names) - 1))
        return [tuple(range(len(names)))] if fits else []
    return list(islice(_orders(names, follows), 2))


def arrows(names: Sequence[str]) -> str:
    """Return names in their order."""
    return " → ".join(names)


def _orders(names: Sequence[str], follows: Follows) -> Iterator[tuple[int, ...]]:
    """Yield the orders that fit, depth first."""
    stems = [re.sub(r"\d+", "#", name) for name in names]
    begun: list[tuple[int, ...]] = [()]
    tried = 0
    while begun:
        done = begun.pop()
        if len(done) == len(names):
            yield done
        seen = set[str]()
        for i in (i for i in range(len(names)) if i not in done):
            if stems[i] not in seen and (not done or follows(done[-1], i)):
                begun.append((*done, i))
                tried += 1
            seen.add(stems[i])
        if tried > MOST_TRIED:
            raise NotRunnable(
                f"the order in which {len(names)} weights run cannot be found from their sizes: "
                "put a number into each name"
            )
