"""What the store raises, besides `ValueError` for a caller's slip."""


class StoreError(Exception):
    """Root of the store's errors; itself when what is asked for is missing or not valid."""


class StoreLocked(StoreError):  # noqa: N818  the state it names
    """Another process holds the database; `pid` is its number where it is known."""

    pid: int | None = None


class StoreUnwritable(StoreError):  # noqa: N818  the state it names
    """The home cannot be written: read-only, not permitted, or no space left."""
