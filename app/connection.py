"""The one client of this process: pages ask for it, tests put another in its place."""

import functools
from pathlib import Path

from jobs import home
from jobs.client import Client, connect


def client() -> Client:
    """Return the client of the home that the environment names.

    Raises `jobs.errors.Unreachable` while the store restarts.
    """
    return _connected(home.from_environment())


@functools.cache
def _connected(folder: Path) -> Client:
    return connect(folder)
