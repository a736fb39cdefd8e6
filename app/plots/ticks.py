"""Where an axis has words, whichever renderer writes them."""

import numpy as np

from app.plots.figure import Axis

MOST_NUMBERS, MOST_NAMES = 16, 40  # ticks that can be read beside each other
Tick = tuple[float, str]


def named(axis: Axis, most: int = MOST_NAMES) -> list[Tick] | None:
    """Return the words that an axis has in place of numbers, None where it has numbers.

    `most` is how many names there is room for; of more, every second, third, ... is written.
    """
    if axis.ticks:
        return list(axis.ticks[:: -(-len(axis.ticks) // MOST_NUMBERS)])
    if not axis.names:
        return None
    every = -(-len(axis.names) // (MOST_NUMBERS if _numbered(axis) else most))
    return [(at, axis.names[at]) for at in range(0, len(axis.names), every)]


def with_last(axis: Axis, most: int) -> list[Tick] | None:
    """Return the names there is room for, and the last, which may differ (a bias, say)."""
    found, last = named(axis, most), len(axis.names) - 1
    if found and last >= 0 and all(at != last for at, _ in found):
        found.append((last, axis.names[last]))
    return found


def decades(low: float, high: float) -> list[Tick]:
    """Return ticks at powers of ten, or at 1, 2 and 5 of each where there are fewer than three."""
    powers = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    within = [10.0**p for p in powers if low <= 10.0**p <= high]
    if len(within) < 3:
        within = [m * 10.0**p for p in powers for m in (1, 2, 5) if low <= m * 10.0**p <= high]
    if len(within) < 3:  # within one decade: evenly spaced round numbers
        within = _round(low, high)
    return [(at, f"{at:g}") for at in within[:: max(1, len(within) // 6)]]


def _round(low: float, high: float) -> list[float]:
    """Return the multiples between two numbers of a step of 1, 2 or 5 that gives about five."""
    size = 10.0 ** np.floor(np.log10((high - low) / 5))
    step = next(m * size for m in (1, 2, 5, 10) if m * size >= (high - low) / 5)
    return [float(n * step) for n in range(int(np.ceil(low / step)), int(high // step) + 1)]


def _numbered(axis: Axis) -> bool:
    """Return whether the names only count, so that some may be left out."""
    return all(name.isdigit() for name in axis.names)
