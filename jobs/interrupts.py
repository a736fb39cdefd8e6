"""Ctrl-C and SIGTERM, kept away from code that they would break in the middle."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

from jobs.errors import INTERRUPTED

ENDING = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """End the process at once on Ctrl-C or SIGTERM inside the block; for the start of Ray.

    A start that an exception cuts in the middle crashes or hangs, and what it started ends with
    this process anyway. It would also leave a handler of its own for SIGTERM in the place of the
    program's.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in ENDING}
    for number in ENDING:
        signal.signal(number, _end)
    try:
        with _without_rays_own():
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(_number: int, _frame: Any) -> None:
    os.write(2, b"\ninterrupted while Ray was starting: nothing was begun\n")
    os._exit(INTERRUPTED)


@contextlib.contextmanager
def ignored() -> Iterator[None]:
    """Ignore Ctrl-C, which is also how Ray cancels a task softly; by force it can still end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _without_rays_own() -> Iterator[None]:
    """Keep `ray.init` from setting its handler; where it hides, the handler comes off later."""
    import ray._private.utils as inner

    setter: Any = getattr(inner, "set_sigterm_handler", None)
    if setter is None:
        yield
        return
    inner.set_sigterm_handler = lambda _handler: None
    try:
        yield
    finally:
        inner.set_sigterm_handler = setter
