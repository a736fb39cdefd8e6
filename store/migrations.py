"""Changes of the schema, in order; each runs once per file, in one transaction with its record.

A new one is a decorated function at the end. None is ever edited or removed once released.
"""

import functools
import time
from collections.abc import Callable

from store import arrow, schema
from store.connection import Connection, Cursor
from store.errors import StoreError

Migration = Callable[[Cursor], None]
MIGRATIONS: list[Migration] = []


def migration(change: Migration) -> Migration:
    """Enrol a change of the schema under its function's name."""
    MIGRATIONS.append(change)
    return change


@migration
def first_tables(cursor: Cursor) -> None:
    """Make the fixed tables."""
    for statement in schema.FIRST_TABLES:
        cursor.execute(statement)


@migration
def bases_and_live_units(cursor: Cursor) -> None:
    """Let a model have a base, units be seen while they run, and each unit list all its files."""
    cursor.execute("alter table model add column base varchar")
    cursor.execute(
        """create table progress (
            unit varchar primary key, analysis varchar, kept boolean, done bigint, total bigint,
            words varchar, "at" double)"""
    )
    cursor.execute(
        """create table listed (
            unit varchar, path varchar, sha256 varchar, bytes bigint, primary key (unit, path))"""
    )
    cursor.execute("insert into listed select unit, path, sha256, bytes from artifact")
    cursor.execute("drop table artifact")
    cursor.execute("alter table listed rename to artifact")


@migration
def stages_of_jobs(cursor: Cursor) -> None:
    """Let a job have units of other analyses, which are not listed among its results."""
    cursor.execute("alter table job_unit add column analysis varchar")


def migrate(connection: Connection, now: Callable[[], float] = time.time) -> None:
    """Bring the file up to date. Raises StoreError for a file of a newer version."""
    done = connection.read(_recorded)
    names = [change.__name__ for change in MIGRATIONS]
    if done != names[: len(done)]:
        raise StoreError(
            f"{connection.database} was written by another version of Rankscope "
            f"(it records {', '.join(done)}; this version knows {', '.join(names)}): "
            "install that version, or set RANKSCOPE_HOME to another folder"
        )
    for number, change in enumerate(MIGRATIONS[len(done) :], start=len(done) + 1):
        connection.write(functools.partial(_apply, number=number, change=change, at=now()))


def _recorded(cursor: Cursor) -> list[str]:
    if not arrow.columns(cursor, "migration"):
        return []
    rows = cursor.execute("select name from migration order by number").fetchall()
    return [name for (name,) in rows]


def _apply(cursor: Cursor, number: int, change: Migration, at: float) -> None:
    cursor.execute(
        """create table if not exists migration (
            number bigint primary key, name varchar, "at" double)"""
    )
    change(cursor)
    cursor.execute("insert into migration values (?, ?, ?)", [number, change.__name__, at])
