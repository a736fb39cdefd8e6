"""What a job would take, said before it starts; and the refusal of what does not fit in memory.

Imported by workers and in-process runs only: analyses import torch.
"""

from collections.abc import Sequence
from typing import Any

from analysis import registry
from analysis.registry import AnalysisError, Work
from jobs import memory, text


class TooLarge(AnalysisError):  # noqa: N818  what was found, no fault of the program
    """A job needs more memory than is free."""


def of(analysis: str, source: Any, params: Any, layers: Sequence[str]) -> Work | None:
    """Return what an analysis says that it takes; None when it says nothing.

    Raises AnalysisError for what cannot work at all.
    """
    found = registry.find(analysis)
    return None if found.work is None else found.work(source, found.params(**params), layers)


def check(work: Work | None, what: str, device: str = "cpu") -> None:
    """Raise TooLarge when the work needs more memory than is free now."""
    if work is None or work.bytes <= (room := memory.free(device)):
        return
    cure = work.cure or "free some memory, or ask for less"
    raise TooLarge(
        f"{what} needs about {text.size(work.bytes)} and {text.size(room)} are free: {cure}"
    )


def at_once(work: Work | None) -> int | None:
    """Return how many units that take so much each fit in the memory that is free now, 1 or more.

    None where the analysis says nothing of memory.
    """
    if work is None or not work.bytes:
        return None
    return max(memory.free() // work.bytes, 1)


def say(work: Work | None, what: str, layers: Sequence[str]) -> dict[str, Any]:
    """Return a prediction as clients see it: words, bytes, seconds, refused."""
    if work is None:
        count = f"{len(layers)} layers, in one go" if layers else "One run"
        work = Work(f"{count}; how long it takes is not known")
    said = {"words": work.words, "bytes": work.bytes, "seconds": work.seconds}
    try:
        check(work, what)
    except TooLarge as error:
        return {**said, "refused": str(error)}
    return {**said, "refused": ""}
