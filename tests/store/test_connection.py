"""One owner, and a sentence for every way a file can refuse."""

import concurrent.futures
import json
import os
import tempfile
import threading
from pathlib import Path

import pytest

from store import Store, StoreError, StoreUnwritable, read_table
from tests.store import examples
from tests.store.processes import python

OPEN = "import sys, store; store.Store(sys.argv[1])"


@pytest.fixture
def folder():
    """Return a folder that any user may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def as_ordinary_user():
    """Give up the superuser's right to write everywhere, for the length of a test."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


def test_a_second_process_is_told_who_holds_the_store(fresh_store, home):
    error = python(OPEN, home).communicate()[1].strip().splitlines()[-1]
    assert error.startswith("store.errors.StoreLocked: ")
    assert f"in use by process {os.getpid()}" in error
    assert "stop it first" in error


def test_the_owner_that_owner_json_names_is_the_one_told(fresh_store, home):
    (home / "owner.json").write_text(json.dumps({"pid": 4242}))
    assert "process 4242" in python(OPEN, home).communicate()[1]


@pytest.mark.parametrize("record", ["", "{}", "[]", '{"pid": null}'])
def test_a_damaged_owner_json_is_no_obstacle(fresh_store, home, record):
    (home / "owner.json").write_text(record)
    assert f"process {os.getpid()}" in python(OPEN, home).communicate()[1]


def test_a_closed_store_frees_the_file_and_says_that_it_is_closed(home):
    store = Store(home)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="is closed: open it again"):
        store.models()
    process = python(OPEN, home)
    assert process.communicate()[1] == ""
    assert process.returncode == 0


def test_a_read_under_way_ends_before_the_store_closes(home):
    store = Store(home)
    connection = store._connection
    begun, released = threading.Event(), threading.Event()

    def slow(cursor):
        begun.set()
        released.wait()
        return cursor.execute("select 42").fetchall()

    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        reading = threads.submit(connection.read, slow)
        begun.wait()
        closing = threads.submit(store.close)
        while not connection._closed:
            pass
        with connection._idle:  # the closing thread waits for the reader now
            released.set()
        assert reading.result() == [(42,)]
        closing.result()


def test_two_stores_of_one_process_share_the_lock(fresh_store, home):
    with Store(home) as other:
        stores = [fresh_store, other]

        def count(store):
            for _ in range(50):
                store.count_attempt("u")

        threads = [threading.Thread(target=count, args=[store]) for store in stores]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert other.attempts(["u"])["count"].to_pylist() == [100]


def test_a_home_that_cannot_be_made_is_named(folder, as_ordinary_user):
    closed = folder / "closed"
    with pytest.raises(StoreUnwritable, match=r"closed.* permission denied; .*RANKSCOPE_HOME"):
        Store(closed)


def test_a_read_only_home_is_named(folder, request):
    (folder / "home").mkdir()
    (folder / "home").chmod(0o555)
    request.getfixturevalue("as_ordinary_user")
    with pytest.raises(StoreUnwritable, match=r"rankscope\.duckdb cannot be written: permission"):
        Store(folder / "home")


def test_a_read_only_database_is_named(folder, request):
    with Store(folder) as store:
        store.create_job(examples.job("a"))
    (folder / "rankscope.duckdb").chmod(0o444)
    request.getfixturevalue("as_ordinary_user")
    with pytest.raises(StoreUnwritable, match="permission denied"):
        Store(folder)


def test_a_file_in_the_place_of_the_home_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnwritable, match="a folder, not a file"):
        Store(tmp_path / "file")
    with pytest.raises(StoreUnwritable, match="set RANKSCOPE_HOME to a folder"):
        Store(tmp_path / "file" / "home")


def test_a_file_that_is_no_database_is_named(home):
    home.mkdir()
    (home / "rankscope.duckdb").write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreError, match=r"rankscope\.duckdb is not a database.*move it away"):
        Store(home)
    assert (home / "rankscope.duckdb").exists()


def test_no_extension_is_ever_fetched(fresh_store):
    settings = fresh_store._connection.read(
        lambda cursor: cursor.execute(
            "select name, value from duckdb_settings() where name like 'auto%known_extensions'"
        ).fetchall()
    )
    assert dict(settings) == {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }


def test_a_table_reads_into_pandas_by_its_name(home):
    with Store(home) as store:
        store.create_job(examples.job("a"))
    assert list(read_table(home, "job")["id"]) == ["a"]


def test_the_documented_lines_read_every_table(home, monkeypatch):
    """The package's own text is what is run."""
    import store

    with Store(home) as opened:
        opened.create_job(examples.job("a"))
    monkeypatch.setenv("HOME", str(home.parent))
    home.rename(home.parent / ".rankscope")
    lines = [line for line in store.__doc__.splitlines() if line.startswith("    ")]
    scope = {}
    exec("\n".join(line[4:] for line in lines), scope)  # our own documentation
    assert list(scope["tables"]["job"]["id"]) == ["a"]
    assert len(lines) == 3
