"""Pages over planted results: `pages(client)` opens one as a browser would."""

from pathlib import Path
from urllib.parse import parse_qs

import pytest
from streamlit.testing.v1 import AppTest

from app import connection
from tests.app import fake_client, fake_trials

PAGE = Path(__file__).parents[2] / "app" / "page.py"


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Return a client over two planted models; tests of this module only read it."""
    client = fake_client.with_models(tmp_path_factory.mktemp("home"), "tiny", "other")
    yield client
    client.own.close()


@pytest.fixture
def fresh(tmp_path):
    """Return a client over one planted model that the test may change."""
    client = fake_client.with_models(tmp_path, "tiny")
    yield client
    client.own.close()


@pytest.fixture
def offered(fresh):
    """Return the same client, which offers compression methods and has no trial yet."""
    fake_trials.offer(fresh)
    return fresh


@pytest.fixture
def swept(fresh):
    """Return the same client, whose model has a finished sweep of trials."""
    fake_trials.with_trials(fresh)
    return fresh


@pytest.fixture
def empty(tmp_path):
    """Return a client of a home without any model."""
    client = fake_client.with_models(tmp_path)
    yield client
    client.own.close()


@pytest.fixture
def opened(monkeypatch):
    """Return a function that opens a page, `models?model=tiny` say, over a client."""

    def open_page(client, address):
        monkeypatch.setattr(connection, "client", lambda: client)
        page, _, query = address.partition("?")
        at = AppTest.from_file(str(PAGE), default_timeout=30)
        for key, values in parse_qs(query).items():
            at.query_params[key] = values
        return at.switch_page(f"views/{page}.py").run()

    return open_page
