"""The open database file: a fresh cursor for each call, and one lock that every write passes.

Reads run side by side. Writes do not: with a cursor each, concurrent updates of one row and
concurrent inserts of one key raise conflicts instead of waiting (DuckDB's optimistic concurrency,
https://duckdb.org/docs/stable/connect/concurrency).
"""

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import duckdb

from store import faults
from store.errors import StoreError

Cursor = duckdb.DuckDBPyConnection
Answer = TypeVar("Answer")

FILE = "rankscope.duckdb"
# An older format than the library's own, so that 1.5 and 2.x open each other's files; and no
# download of extensions, ever.
CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "storage_compatibility_version": "v1.4.0",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}


class _WriteLock:
    """A lock that can be held weakly."""

    def __init__(self) -> None:
        self.lock = threading.RLock()


# Two stores on one file within one process share DuckDB's instance, so they must share the lock.
_write_locks: "weakref.WeakValueDictionary[Path, _WriteLock]" = weakref.WeakValueDictionary()


class Connection:
    """One database file, held open. Raises StoreLocked, StoreUnwritable or StoreError."""

    def __init__(self, home: Path) -> None:
        self.database = _writable(home) / FILE
        self._writes = _write_locks.setdefault(self.database, _WriteLock())
        self._idle = threading.Condition()
        self._cursors = 0
        self._spoilt = self._closed = False
        self._open = _connect(self.database)

    def read(self, query: Callable[[Cursor], Answer]) -> Answer:
        """Return what `query` answers; a database that had to be reopened is asked once more."""
        try:
            return self._ask(query)
        except StoreError as error:
            if not isinstance(error.__cause__, duckdb.FatalException):
                raise
        return self._ask(query)

    def write(self, change: Callable[[Cursor], Answer]) -> Answer:
        """Run `change` in a transaction of its own: on return it is on disk, on error undone."""
        with self._writes.lock:
            return self._ask(lambda cursor: _in_transaction(cursor, change))

    def close(self) -> None:
        """Let go of the file, once the reads under way have ended."""
        with self._writes.lock, self._idle:
            self._closed = True
            self._idle.wait_for(lambda: not self._cursors)
            self._open.close()

    def _ask(self, query: Callable[[Cursor], Answer]) -> Answer:
        try:
            with self._cursor() as cursor:
                return query(cursor)
        except duckdb.Error as error:
            # A checkpoint that found no space invalidates the database in memory. The file is
            # sound, so the next call opens it anew.
            if isinstance(error, duckdb.FatalException):
                self._spoilt = True
            raise faults.described(error, self.database) from error
        except RuntimeError as error:
            # DuckDB takes the KeyboardInterrupt that comes during a query, and raises this instead.
            if str(error) == "Query interrupted":
                raise KeyboardInterrupt("interrupted in a query of the store") from error
            raise

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[Cursor]:
        with self._idle:
            cursor = self._sound().cursor()
            self._cursors += 1
        try:
            yield cursor
        finally:
            with self._idle:
                self._cursors -= 1
                self._idle.notify_all()
                cursor.close()

    def _sound(self) -> Cursor:
        # As long as a cursor is open on an invalidated database, DuckDB hands out that one again;
        # and closing the database would close the cursors under their readers.
        self._idle.wait_for(lambda: not self._spoilt or not self._cursors)
        if self._closed:
            raise StoreError(f"the store {self.database} is closed: open it again")
        if self._spoilt:
            self._open.close()
            self._open = _connect(self.database)
            self._spoilt = False
        return self._open


def _in_transaction(cursor: Cursor, change: Callable[[Cursor], Answer]) -> Answer:
    cursor.begin()
    try:
        answer = change(cursor)
        cursor.commit()
    except BaseException:
        # A commit that failed has ended its transaction already.
        with contextlib.suppress(duckdb.Error):
            cursor.rollback()
        raise
    return answer


def _writable(home: Path) -> Path:
    home = Path(home).expanduser()
    try:
        home.mkdir(parents=True, exist_ok=True)
        return home.resolve(strict=True)
    except OSError as error:
        raise faults.unwritable(home, error.strerror or str(error)) from error


def _connect(database: Path) -> Cursor:
    try:
        # Left by a creation that found no space; DuckDB takes it for a foreign file.
        if database.exists() and database.stat().st_size == 0:
            database.unlink()
        return duckdb.connect(str(database), config=CONFIG)
    except OSError as error:
        raise faults.unwritable(database, error.strerror or str(error)) from error
    except duckdb.Error as error:
        raise faults.described(error, database) from error
