"""A server in a process of its own, with this process as its client."""

import contextlib
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from jobs.client import connect
from jobs.errors import Unreachable
from jobs.states import ENDED
from tests.jobs import servers, tiny
from tests.jobs.servers import Gate, Program
from tests.jobs.waiting import until


class Served:
    """The server, its project and gate, and this process's client."""

    def __init__(self, project: Path, folder: Path) -> None:
        self.project = project
        self.home = (folder / "home").resolve()
        self.gate = Gate(folder / "gate")
        self.models = folder / "models"
        self.server = servers.server(self.project, self.home, self.gate)
        try:
            self.client = connect(self.home)
        except BaseException:
            self.server.clear()
            raise
        self._seed = 100

    def model(self, **changed: torch.Tensor) -> str:
        """Register a model that nobody has profiled."""
        self._seed += 1
        name = f"m{self._seed}"
        return self.client.add_model(str(tiny.save(self.models / name, self._seed, **changed)))

    def held(self, **more: Any) -> str:
        """Start a gated job and wait until both workers are held in it."""
        self.gate.hold()
        job = self.client.submit(self.model(), "gated", {}, **more)
        until(lambda: len(self.gate.calls()) == 2, 60, "for two calls")
        return job

    def end(self, job: str, seconds: float = 60.0) -> dict[str, Any]:
        """Wait for a job's end; the store may restart meanwhile."""
        row: dict[str, Any] = {}

        def ended() -> bool:
            with contextlib.suppress(Unreachable):
                row.update(self.client.job(job))
            return row.get("state") in ENDED

        until(ended, seconds, f"for the end of {job}")
        return row

    def rows(self, job: str) -> pd.DataFrame:
        found: pd.DataFrame = self.client.store.results(job)
        return found[found["status"] != "skipped"].reset_index(drop=True)

    def command(self, *words: str) -> Program:
        return servers.command(self.project, self.home, self.gate, *words)
