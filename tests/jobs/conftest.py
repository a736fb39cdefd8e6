"""Fixtures of this folder: a tiny model, a home, and a client that runs jobs in this process."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs import catalog
from jobs import client as clients
from jobs.client import Client
from jobs.engine import Local
from tests.jobs import servers, tiny


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
