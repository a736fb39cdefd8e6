import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jobs import owner
from jobs.errors import HomeInUse
from tests.jobs.waiting import until

HOLD = """
import sys, pathlib
from jobs import owner
with owner.own(pathlib.Path(sys.argv[1]), doing="a test") as held:
    held.publish("ray", "a test", address="10.0.0.1:6379", namespace="rankscope-x")
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(home: Path) -> "subprocess.Popen[str]":
    held = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert held.stdout is not None
    assert held.stdout.readline() == "held\n"
    return held


def test_a_free_home_has_no_owner(home: Path) -> None:
    assert owner.look(home) is None
    assert owner.await_started(home) is None


def test_an_owner_is_seen_with_its_card(home: Path) -> None:
    with holder(home) as held:
        found = owner.look(home)
        assert found is not None
        assert (found.pid, found.mode, found.address) == (held.pid, "ray", "10.0.0.1:6379")
        held.communicate()
    assert owner.look(home) is None


def test_a_second_owner_is_told_the_pid_of_the_first(home: Path) -> None:
    with holder(home) as held:
        refused = pytest.raises(HomeInUse, match=rf"in use by a test \(pid {held.pid}\)")
        with refused, owner.own(home, doing="another", wait=0.1):
            pass
        held.communicate()


def test_a_killed_owner_frees_the_home_and_its_card_is_ignored(home: Path) -> None:
    with holder(home) as held:
        held.send_signal(signal.SIGKILL)
        held.wait()
        assert (home / owner.CARD).exists()
        until(lambda: owner.look(home) is None)
        with owner.own(home, doing="the next", wait=0.1):
            assert json.loads((home / owner.CARD).read_text())["doing"] == "the next"


def test_the_next_owner_waits_for_the_lock(home: Path) -> None:
    with holder(home) as held:
        waiting = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        held.communicate()
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "held\n"
        waiting.communicate()


def test_a_card_that_is_half_written_is_an_owner_that_starts(home: Path) -> None:
    (home / owner.CARD).write_text("{")
    assert owner.read(home).mode == "starting"
