"""The real server in a home of its own, as `make app` starts it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Server:
    process: subprocess.Popen
    home: Path
    address: str
    log: Path
    started: float

    def healthy(self):
        """Return whether the server answers."""
        try:
            with urllib.request.urlopen(f"{self.address}/_stcore/health", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def family(self):
        """Return the pids of every process that was started for this home, with their names."""
        mark = f"RANKSCOPE_HOME={self.home}".encode()
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        return found


def command(port, *arguments):
    """Return the command that serves the dashboard on a port."""
    start = [sys.executable, "-m", "streamlit", "run", "app/main.py", "--server.port", str(port)]
    return [*start, *arguments]


@contextlib.contextmanager
def served(home, *arguments, root=ROOT):
    """Start the server on a free port; wait until it answers; end it."""
    port = free_port()
    log = home / "server.log"
    env = {**os.environ, "RANKSCOPE_HOME": str(home), "OMP_NUM_THREADS": "1"}
    with log.open("w") as out:
        process = subprocess.Popen(
            command(port, *arguments), cwd=root, env=env, stdout=out, stderr=subprocess.STDOUT
        )
    server = Server(process, home, f"http://127.0.0.1:{port}", log, time.monotonic())
    try:
        until(server.healthy, 120, lambda: f"no answer: {log.read_text()[-800:]}")
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(holds, seconds, complaint):
    """Ask until something holds; fail with the complaint when it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, complaint()
        time.sleep(0.1)
