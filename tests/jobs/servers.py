"""A server in a process of its own, run from a copy of the project that tests may add files to."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

import psutil

from tests.jobs.waiting import until

ROOT = Path(__file__).parents[2]
# Ray's two agents end by themselves, within two minutes of the raylet.
AGENTS = ("DashboardAgent", "RuntimeEnvAgent")
# What Ray takes the machine to have, whatever it has: the tests count two workers.
MACHINE = {"RAY_OVERRIDE_RESOURCES": '{"CPU": 2, "GPU": 0}'}
SERVE = """
import sys
from pathlib import Path
from jobs.server import serving

with serving(Path(sys.argv[1]), doing="a test's server"):
    print("serving", flush=True)
    sys.stdin.read()
"""
# Notes each call in a file. A file `hold` in the folder holds all but the first so many calls.
GATED = '''
"""Made up for a test: notes each call, and waits while it is held."""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from analysis.registry import register


@dataclass(frozen=True)
class Params:
    factor: float = field(default=1.0, metadata={"help": "times the norm", "min": 0.0})


@dataclass(frozen=True)
class Row:
    norm: float


def held(gate, own):
    try:
        return own >= int((gate / "hold").read_text() or 0)
    except FileNotFoundError:
        return False


@register(title="Gated", view="by_layer", unit="matrix")
def gated(matrix, params):
    """Yield the Frobenius norm."""
    gate = Path(os.environ["RANKSCOPE_GATE"])
    with (gate / "calls").open("a") as calls:
        calls.write(f"{os.getpid()} {matrix.label.layer}\\n")
    own = (gate / "calls").read_text().splitlines().index(f"{os.getpid()} {matrix.label.layer}")
    deadline = time.monotonic() + 120
    while held(gate, own) and time.monotonic() < deadline:
        time.sleep(0.02)
    yield Row(params.factor * matrix.dense().double().norm().item())
'''

# Trains nothing: keeps a checkpoint a step, each of which waits while it is held.
TRAINED = (
    GATED.split("@register")[0].replace("notes each call", "notes each step")
    + '''
@register(title="Trained", view="by_layer", unit="training")
def trained(inputs, params, report):
    """Yield the number of each step."""
    gate = Path(os.environ["RANKSCOPE_GATE"])
    for step in range(6):
        place = report.folder / f"step_{step}"
        with (gate / "calls").open("a") as calls:
            calls.write(f"{os.getpid()} {'kept' if place.exists() else step}\\n")
        while not place.exists() and held(gate, step):
            time.sleep(0.02)
        place.mkdir(exist_ok=True)
        (place / "model.safetensors").write_bytes(b"w" * (step + 1))
        report(step + 1, 6, f"step {step}")
        yield Row(float(step))
'''
)
# Looks at a model's layers, each of which waits while it is held.
VIEWED = (
    GATED.split("@register")[0].replace("import register", "import Work, register")
    + '''
def work(source, params, layers):
    return Work(f"{len(layers)} looks", int(params.factor * 10**9), cure="look less")


@register(title="Viewed", view="by_layer", unit="model", work=work)
def viewed(opened, inputs, params, report):
    """Yield the place of each layer."""
    gate = Path(os.environ["RANKSCOPE_GATE"])
    for own, layer in enumerate(opened.layers):
        report(own, len(opened.layers), layer)
        with (gate / "calls").open("a") as calls:
            calls.write(f"{os.getpid()} {layer}\\n")
        while held(gate, own):
            time.sleep(0.02)
        yield Row(float(own))
'''
)


def copy_project(folder: Path) -> Path:
    """Copy what jobs need and this folder's modules; add made-up analyses and the catalogue."""
    ignored = shutil.ignore_patterns("__pycache__", "*.safetensors")
    for package in ("analysis", "jobs", "store"):
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    for name, source in {"gated": GATED, "trained": TRAINED, "viewed": VIEWED}.items():
        (folder / "analysis" / f"{name}.py").write_text(source)
    (folder / "tests" / "jobs").mkdir(parents=True)
    for module in Path(__file__).parent.glob("*.py"):
        shutil.copy(module, folder / "tests" / "jobs")
    made = "from pathlib import Path; from jobs.catalog import Catalog; Catalog.load(Path())"
    environ = {**os.environ, "PYTHONPATH": str(folder)}
    subprocess.run([sys.executable, "-c", made], cwd=folder, env=environ, check=True)
    return folder


class Gate:
    """What the analysis `gated` notes and waits for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def hold(self) -> None:
        (self.folder / "calls").write_text("")
        (self.folder / "hold").touch()

    def let(self, calls: int) -> None:
        """Let the first so many calls pass."""
        draft = self.folder / "draft"
        draft.write_text(str(calls))
        draft.replace(self.folder / "hold")

    def release(self) -> None:
        (self.folder / "hold").unlink(missing_ok=True)

    def calls(self) -> list[tuple[int, str]]:
        """Return pid and layer of each call so far."""
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(int(pid), layer) for pid, _, layer in (line.partition(" ") for line in lines)]


class Program:
    """A command that runs in the copied project."""

    def __init__(
        self,
        project: Path,
        home: Path,
        gate: Gate,
        *arguments: str,
        machine: Mapping[str, str] = MACHINE,
    ) -> None:
        environ = {
            **os.environ,
            **machine,
            "PYTHONPATH": str(project),
            "RANKSCOPE_HOME": str(home),
            "RANKSCOPE_GATE": str(gate.folder),
            "OMP_NUM_THREADS": "1",
        }
        home.mkdir(exist_ok=True)
        shutil.copy(project / "catalog.json", home)
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=project,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.family: list[psutil.Process] = []

    @property
    def pid(self) -> int:
        return self.process.pid

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def remember_family(self) -> list[psutil.Process]:
        """Note the processes that came of this one, to see later which of them are left."""
        found = psutil.Process(self.pid).children(recursive=True)
        self.family = list({*self.family, *found})
        return self.family

    def left(self) -> list[str]:
        """Return which of the noted processes live, but for Ray's agents."""
        return [name for process in self.family if (name := _name(process))]

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self, seconds: float = 90.0) -> tuple[int, str, str]:
        """Wait for the end; return exit code, output and errors."""
        out, err = self.process.communicate(timeout=seconds)
        return self.process.returncode, out, err

    def clear(self) -> None:
        """End this process and all that came of it, by their ids."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self.remember_family()
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        for process in self.family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def command(project: Path, home: Path, gate: Gate, *words: str) -> Program:
    """Start `python -m jobs ...`."""
    return Program(project, home, gate, "-m", "jobs", *words)


def server(project: Path, home: Path, gate: Gate) -> Program:
    """Start a server and wait until it serves."""
    started = Program(project, home, gate, "-c", textwrap.dedent(SERVE), str(home))
    if started.line() != "serving":
        raise AssertionError(started.ended())
    started.remember_family()
    return started


def all_gone(program: Program, seconds: float) -> None:
    """Fail unless every noted process ends in time."""
    until(lambda: not program.left(), seconds, f"for the end of {program.left()}")


def _name(process: psutil.Process) -> str:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return ""
        words = " ".join(process.cmdline())
        return "" if any(agent in words for agent in AGENTS) else words[:80]
    except psutil.NoSuchProcess:
        return ""
