"""Failures that come back whenever the same is asked for, so that resuming a job is no cure."""

from collections.abc import Collection

from analysis.compress.trials.names import FITS_NONE, NOT_REACHED

LASTING = (NOT_REACHED, FITS_NONE)
ADVICE = "Resuming would end the same way: change what is named above, and launch that instead."


def in_vain(messages: Collection[str]) -> bool:
    """Say whether all of a job's failures are of the request itself: a size that there is not."""
    return bool(messages) and all(any(word in said for word in LASTING) for said in messages)
