"""Waiting for what happens in other processes, with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def until(ask: Callable[[], Found], seconds: float = 30.0, what: str = "") -> Found:
    """Return the first answer that is true; fail when none came in time."""
    deadline = time.monotonic() + seconds
    while not (found := ask()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain {what}"
        time.sleep(0.02)
    return found
