"""Opening the home's database: a killed owner's process may hold the file for some seconds more."""

import time
from collections.abc import Callable
from typing import TypeVar

from store import StoreLocked

WAIT = 10.0
POLL = 0.1
Opened = TypeVar("Opened")


def patiently(open_it: Callable[[], Opened], wait: float = WAIT) -> Opened:
    """Return what `open_it` opens, asking again for `wait` seconds while the file is locked."""
    deadline = time.monotonic() + wait
    while True:
        try:
            return open_it()
        except StoreLocked:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL)
