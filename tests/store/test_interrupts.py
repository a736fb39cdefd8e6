"""Ctrl-C while a query runs: DuckDB takes the signal, and the store gives it back."""

import signal

import pytest

from tests.store.processes import python

# The handler is set by name: what a shell starts in the background ignores the signal.
PROGRAM = """
import signal, sys, threading
from store import Store

signal.signal(signal.SIGINT, signal.default_int_handler)
SEEN = "set enable_progress_bar = true; set enable_progress_bar_print = false"
ALONE = "set threads = 1"  # or DuckDB may look for signals only once another thread is done
ENDLESS = "select sum(hash(range)) from range(1000000000000000)"


def told(cursor):
    while cursor.query_progress() < 0:
        pass
    print("under way", flush=True)


def endless(cursor):
    cursor.execute(f"{SEEN}; {ALONE}")
    threading.Thread(target=told, args=[cursor], daemon=True).start()
    return cursor.execute(ENDLESS).fetchall()


def begun(cursor):
    cursor.execute("insert into attempt values ('half', 1)")
    return endless(cursor)


with Store(sys.argv[1]) as store:
    connection = store._connection
    try:
        connection.write(begun) if sys.argv[2] == "write" else connection.read(endless)
    except KeyboardInterrupt as error:
        print(error)
    store.count_attempt("next")
    print(store.attempts(["half", "next"]).column("unit").to_pylist())
"""


@pytest.mark.parametrize("kind", ["read", "write"])
def test_ctrl_c_in_a_query_is_a_keyboard_interrupt_and_undoes_a_write(home, kind):
    process = python(PROGRAM, home, kind)
    assert process.stdout.readline() == "under way\n", process.communicate()
    process.send_signal(signal.SIGINT)
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (out.splitlines(), err) == (["interrupted in a query of the store", "['next']"], "")


def test_another_fault_of_a_query_passes_as_it_is(fresh_store):
    def wrong(_):
        raise RuntimeError("Query interrupted by its author")

    with pytest.raises(RuntimeError, match="by its author"):
        fresh_store._connection.read(wrong)
