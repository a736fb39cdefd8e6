"""Fixtures of this folder: a tiny model, a home, and a client that runs jobs in this process."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs import catalog
from jobs import client as clients
from jobs.client import Client
from jobs.engine import Local
from tests.jobs import made_up, servers, tiny
from tests.jobs.made_up import Launch
from tests.jobs.served import Served


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The list of analyses, made once: it takes seconds."""
    folder = tmp_path_factory.mktemp("catalogue")
    catalog.Catalog.load(folder)
    return folder / catalog.FILE


@pytest.fixture
def home(tmp_path: Path, catalogue: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copy(catalogue, folder)
    return folder.resolve()


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, for programs of their own and for files to be dropped in."""
    return servers.copy_project(tmp_path_factory.mktemp("copy") / "project")


@pytest.fixture
def client(home: Path) -> Iterator[Client]:
    """A client that runs jobs in this process."""
    with clients.opened(home) as store:
        yield Client(home, Local(store, home, lambda job: None))


@pytest.fixture(scope="module")
def served(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    found = Served(project, tmp_path_factory.mktemp("served"))
    with pytest.MonkeyPatch.context() as patch:
        # This process shows the analyses of the copy, as the server does.
        patch.setattr(catalog, "package_folder", lambda: found.project / "analysis")
        try:
            yield found
        finally:
            found.gate.release()
            found.client.close()
            found.server.clear()


@pytest.fixture
def listed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the list of analyses for that of the sources: a made-up one is added to it."""
    listed = json.loads((home / catalog.FILE).read_text())
    monkeypatch.setattr(catalog, "source_hash", lambda: listed["hash"])


@pytest.fixture
def launch(client: Client, home: Path, model: Path, listed: None) -> Launch:
    """Run a function as an analysis of a unit to its end; return the job."""
    del listed

    def start(
        function: Any = made_up.measure, unit: str = "model", model: Any = model, layers: str = "*",
        work: Any = None, **params: Any,
    ) -> str:  # fmt: skip
        made_up.declare(home, unit)
        with made_up.analysis(function, unit, work):
            return client.submit(client.resolve(str(model)), "made_up", params, layers)

    return start


@pytest.fixture
def series(tmp_path: Path) -> Path:
    for number in (1, 2, 3):
        tiny.save(tmp_path / "run" / f"step_{number}", seed=number)
    return tmp_path / "run"
