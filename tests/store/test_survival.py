"""Nothing acknowledged is lost: to a kill, or to a disk that is full."""

import resource
import signal

import pytest

from store import Store
from tests.store import examples
from tests.store.processes import python

# Acknowledges each unit on its output after the store has returned.
WRITER = """
import sys
from store import Store
from tests.store import examples

store = Store(sys.argv[1])
store.declare(examples.SPECTRUM)
for i in range(100_000):
    spectra = examples.spectra({f"m{i}": [float(i)] * 500})
    store.finish_unit(examples.unit(f"u{i}"), examples.rows(float(i)), spectra, None)
    print(i, flush=True)
"""

# Fills a disk of sys.argv[2] bytes, goes on after space is freed, and dies without closing.
FILLER = """
import os, resource, signal, sys
import numpy as np
from store import Store, StoreUnwritable
from tests.store import examples

def write(name, size):
    values = np.random.default_rng(len(name)).random(size)
    store.finish_unit(examples.unit(name), None, examples.spectra({name: values}), None)
    print("kept", name, flush=True)

store = Store(sys.argv[1])
write("before", 10)
unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
for i in range(100):
    try:
        write(f"filling {i}", 100_000)
    except StoreUnwritable as error:
        print("refused", type(error.__cause__).__name__, error, flush=True)
        break
print("read", store.spectra(["before"]).num_rows, flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
write("after", 100_000)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_kill_9_loses_nothing_acknowledged(home):
    writer = python(WRITER, home)
    acknowledged = [int(writer.stdout.readline()) for _ in range(60)]
    writer.send_signal(signal.SIGKILL)
    rest, _ = writer.communicate()
    # The last line may have been cut short.
    acknowledged += [int(line) for line in rest.splitlines(keepends=True) if line.endswith("\n")]
    with Store(home) as store:
        keys = [f"u{i}" for i in acknowledged]
        assert store.known_units(keys).num_rows == len(acknowledged) >= 60
        found = store.table("result_spectrum")["stable_rank"].to_pylist()
        assert {float(i) for i in acknowledged} <= set(found)
        lengths = {len(s) for s in store.spectra([f"m{i}" for i in acknowledged])["s"].to_pylist()}
        assert lengths == {500}
        store.finish_unit(examples.unit("next"), examples.rows(), None, None)


# At 3 MB the log of changes finds no room; at 30 MB a later folding of the log into the file does.
@pytest.mark.parametrize(
    ("limit", "cause"), [(3_000_000, "TransactionException"), (30_000_000, "FatalException")]
)
def test_a_full_disk_refuses_a_write_and_spoils_nothing(home, limit, cause):
    output, errors = python(FILLER, home, limit).communicate()
    assert errors == ""
    lines = output.splitlines()
    [refusal] = [line for line in lines if line.startswith("refused")]
    assert refusal.split()[1] == cause
    assert "cannot be written: file too large; free some space" in refusal
    assert "read 1" in lines
    assert lines[-1] == "kept after"
    kept = [line.removeprefix("kept ") for line in lines if line.startswith("kept")]
    with Store(home) as store:
        assert store.spectra(kept)["key"].to_pylist() == kept
        assert store.known_units(kept).num_rows == len(kept)


def test_readers_outlive_a_database_that_had_to_be_reopened(home):
    """A full disk at a checkpoint invalidates DuckDB's memory for every cursor at once."""
    program = FILLER.replace(
        "unlimited =",
        """
import threading
stop, answers = threading.Event(), []
def read():
    while not stop.is_set():
        answers.append(store.spectra(["before"]).num_rows)
readers = [threading.Thread(target=read) for _ in range(3)]
for reader in readers: reader.start()
unlimited =""",
    ).replace(
        "os.kill(",
        """
stop.set()
for reader in readers: reader.join()
print("answers", set(answers), flush=True)
os.kill(""",
    )
    output, errors = python(program, home, 30_000_000).communicate()
    assert errors == ""
    assert "refused FatalException" in output
    assert output.splitlines()[-1] == "answers {1}"


def test_a_first_start_on_a_full_disk_can_be_repeated(home):
    limit = (0, resource.RLIM_INFINITY)
    program = (
        "import resource, sys, store\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, {limit})\n"
        "store.Store(sys.argv[1])"
    )
    errors = python(program, home).communicate()[1]
    assert "store.errors.StoreUnwritable: " in errors.splitlines()[-1]
    with Store(home) as store:
        assert store.models().num_rows == 0
