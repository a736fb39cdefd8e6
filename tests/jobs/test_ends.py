"""How programs that own a home end, and what is left of them: each in processes of its own."""

import signal
from collections.abc import Collection, Iterator
from pathlib import Path

import pandas as pd
import pytest

from jobs import client as clients
from jobs import owner
from jobs.client import Client
from jobs.engine import Browsing
from jobs.opening import patiently
from store import Store
from tests.jobs import servers, tiny
from tests.jobs.servers import Gate, Program
from tests.jobs.waiting import until

LEFT = 5.0  # seconds in which everything must be gone


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "gate")


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """The home of a run that nothing interrupts."""
    return tmp_path / "whole"


@pytest.fixture
def started() -> Iterator[list[Program]]:
    """Programs to clear away at the end, however the test ends."""
    programs: list[Program] = []
    yield programs
    for program in programs:
        program.clear()


def test_sigterm_leaves_no_process_and_prints_no_traceback(
    project: Path, home: Path, model: Path, gate: Gate, started: list[Program]
) -> None:
    gate.hold()
    run = servers.command(project, home, gate, "analyze", str(model), "gated")
    started.append(run)
    until(lambda: len(gate.calls()) == 2, 90, "for two calls")
    assert len(run.remember_family()) > 5
    run.send(signal.SIGTERM)
    servers.all_gone(run, LEFT)
    code, out, err = run.ended(5)
    assert code == 3, (out, err)
    assert "Traceback" not in out + err
    assert "python -m jobs status" in err
    assert owner.look(home) is None
    with clients.opened(home) as store:
        assert store.jobs().column("state").to_pylist() == ["INTERRUPTED"]


def test_kill_9_leaves_no_process_and_the_job_resumes_where_it_stopped(
    project: Path, home: Path, model: Path, gate: Gate, started: list[Program], whole: Path
) -> None:
    gate.hold()
    run = servers.command(project, home, gate, "analyze", str(model), "gated")
    started.append(run)
    until(lambda: len(gate.calls()) == 2, 90, "for two calls")
    gate.let(4)
    until(lambda: len(gate.calls()) == 6, 60, "for two more that are held")
    run.remember_family()
    run.process.kill()
    # A start made at once waits for the lock of the file.
    store = patiently(lambda: Store(home))
    [job] = store.jobs().column("id").to_pylist()
    keys = set(store.table("unit").column("key").to_pylist())
    store.close()
    servers.all_gone(run, LEFT)
    assert 2 <= len(keys) <= 4
    gate.release()
    again = servers.command(project, home, gate, "resume", job)
    started.append(again)
    code, out, err = again.ended(120)
    assert code == 0, (out, err)
    assert f"{len(keys)} stored before" in out
    layers = [layer for _, layer in gate.calls()]
    rows, finished = stored(home, job, keys)
    assert len(finished) == len(keys)
    assert all(layers.count(layer) == 1 for layer in finished)
    once = servers.command(project, whole, gate, "analyze", str(model), "gated", "--local")
    started.append(once)
    assert once.ended(120)[0] == 0
    assert (rows["status"] == "done").sum() == tiny.MATRICES
    pd.testing.assert_frame_equal(rows, stored(whole)[0], rtol=1e-12)


def stored(home: Path, job: str = "", keys: Collection[str] = ()) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of a job, or of the only one, and the labels of the units of these keys."""
    with clients.opened(home) as store:
        client = Client(home, Browsing(store))
        job = job or client.store.jobs()["id"].item()
        units = client.store.units(job)
        return client.store.results(job), list(units[units["unit"].isin(keys)]["label"])


def test_a_server_started_at_once_after_a_kill_9_serves(
    project: Path, home: Path, gate: Gate, started: list[Program]
) -> None:
    first = servers.server(project, home, gate)
    started.append(first)
    first.process.kill()
    second = servers.server(project, home, gate)
    started.append(second)
    found = owner.look(home)
    assert found is not None
    assert (found.pid, found.mode) == (second.pid, "ray")
    servers.all_gone(first, LEFT)
    # Told to end by the end of its input, it leaves nothing either.
    code, _, err = second.ended(30)
    assert (code, err) == (0, "")
    servers.all_gone(second, LEFT)


def test_ctrl_c_while_ray_starts_ends_at_once(
    project: Path, home: Path, model: Path, gate: Gate, started: list[Program]
) -> None:
    run = servers.command(project, home, gate, "analyze", str(model), "gated")
    started.append(run)
    until(lambda: len(run.remember_family()) > 1, 60, "for Ray's first daemons")
    run.send(signal.SIGINT)
    servers.all_gone(run, LEFT)
    code, out, err = run.ended(5)
    assert code == 3, (out, err)
    assert "interrupted" in err
    assert "Traceback" not in out + err
    assert owner.look(home) is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_local_run_told_to_end_stops_at_once_and_is_resumed(
    project: Path,
    home: Path,
    model: Path,
    gate: Gate,
    started: list[Program],
    number: signal.Signals,
) -> None:
    gate.hold()
    run = servers.command(project, home, gate, "analyze", str(model), "gated", "--local")
    started.append(run)
    until(lambda: len(gate.calls()) == 1, 60, "for the first call")
    gate.let(2)
    until(lambda: len(gate.calls()) == 3, 60, "for the third call")
    run.send(number)
    code, out, err = run.ended(LEFT)
    assert code == 3, (out, err)
    assert "Traceback" not in out + err
    assert "python -m jobs resume" in out
    assert len(gate.calls()) == 3
    gate.release()
    with clients.opened(home) as store:
        [row] = store.jobs().to_pylist()
        assert (row["state"], row["done"], row["failed"]) == ("INTERRUPTED", 2, 0)
    again = servers.command(project, home, gate, "resume", row["id"], "--local")
    started.append(again)
    code, out, err = again.ended()
    assert code == 0, (out, err)
    assert len(gate.calls()) == tiny.MATRICES + 1  # all once, but for the one that was cut short
