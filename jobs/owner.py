"""One home, one owner: a lock held for the owner's life, and a card that says how to reach it.

The lock is the kernel's, so it ends with its holder however that ends. `owner.json` is only read
while the lock is held by someone.
"""

import contextlib
import dataclasses
import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jobs import home as places
from jobs.errors import HomeInUse, JobError, Unreachable

LOCK, CARD = "owner.lock", "owner.json"
WAIT = 10.0  # after a kill -9 the database stays locked until Ray's workers noticed
STARTING = 60.0
POLL = 0.05


@dataclasses.dataclass(frozen=True)
class Owner:
    """Who holds a home. `mode`: "starting", "ray" (reachable at `address`), or "in process"."""

    pid: int
    mode: str
    address: str = ""
    namespace: str = ""
    doing: str = ""
    auth: str = ""  # Ray's mode of authentication there


class Ownership:
    """The held lock; `publish` says how the owner is reached."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def publish(self, mode: str, doing: str, **reach: str) -> None:
        """Replace the card in one step; `reach` has address, namespace and auth.

        Raises JobError where the home cannot be written, such as on a full disk.
        """
        card = Owner(os.getpid(), mode, doing=doing, **reach)
        draft = self.home / f".{CARD}-{os.getpid()}"
        try:
            draft.write_text(json.dumps(dataclasses.asdict(card)))
            draft.replace(self.home / CARD)
        except OSError as error:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise places.unwritable(self.home, error) from error


@contextlib.contextmanager
def own(home: Path, *, doing: str, wait: float = WAIT) -> Iterator[Ownership]:
    """Hold the home. Raises HomeInUse with the owner's pid when it stays taken for `wait` s."""
    deadline = time.monotonic() + wait
    with _opened(home) as lock:
        while not _lock(lock, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise in_use(home, read(home))
            time.sleep(POLL)
        ownership = Ownership(home)
        ownership.publish("starting", doing)
        try:
            yield ownership
        finally:
            (home / CARD).unlink(missing_ok=True)


def look(home: Path) -> Owner | None:
    """Return the living owner, or None. A card that a killed owner left behind counts as none."""
    try:
        with _opened(home) as lock:
            if _lock(lock, fcntl.LOCK_SH):
                return None
    except JobError:
        return None
    return read(home)


def await_started(home: Path, wait: float = STARTING) -> Owner | None:
    """Return the owner once it is past its start, or None when the home became free."""
    deadline = time.monotonic() + wait
    while (owner := look(home)) is not None and owner.mode == "starting":
        if time.monotonic() > deadline:
            raise Unreachable(
                f"the owner of {home} (pid {owner.pid}) is still starting after {wait:.0f} s: "
                "look at its output, or stop it and try again"
            )
        time.sleep(POLL)
    return owner


def read(home: Path) -> Owner:
    """Return what the card says; a card not yet written is an owner that starts."""
    try:
        fields: dict[str, Any] = json.loads((home / CARD).read_text())
        return Owner(**fields)
    except (OSError, ValueError, TypeError):
        return Owner(pid=0, mode="starting")


def in_use(home: Path, owner: Owner) -> HomeInUse:
    """Return the error that names the owner and the cure."""
    who = f"{owner.doing or 'another program'} (pid {owner.pid})"
    return HomeInUse(
        f"{home} is in use by {who}: wait until it ends, stop it, or set RANKSCOPE_HOME to "
        "another folder"
    )


@contextlib.contextmanager
def _opened(home: Path) -> Iterator[int]:
    try:
        lock = os.open(home / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise JobError(
            f"{home / LOCK} cannot be opened ({error.strerror}): set RANKSCOPE_HOME to a folder "
            "that you can write"
        ) from error
    try:
        yield lock
    finally:
        os.close(lock)


def _lock(lock: int, how: int) -> bool:
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True
