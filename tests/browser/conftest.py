"""A browser and the real server, both started once for all tests of the folder."""

import os
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser.server import served

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
WIDE = {"width": 1440, "height": 1000}
SEEN = 60_000  # milliseconds; a slow machine's, for a page and for a process that it starts


@pytest.fixture(scope="session")
def browser():
    """Return Debian's chromium; without one, CI fails and others skip."""
    path = shutil.which("chromium")
    if path is None:
        reason = "no chromium on the PATH: the pages were not looked at in a browser"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    expect.set_options(timeout=SEEN)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(browser, tmp_path_factory):
    """Return the served sample; without a browser it is not even started."""
    with served(tmp_path_factory.mktemp("home")) as server:
        yield server


@pytest.fixture(scope="session")
def profiled(browser, server):
    """Wait until the server has profiled the sample on its own account."""
    page = browser.new_page()
    page.goto(f"{server.address}/jobs")
    # The newest job is WeLore, which waits for every spectrum; the page follows it by itself.
    expect(page.get_by_text("Done: 45 of 45 units")).to_be_visible(timeout=420_000)
    page.close()
    return server


@pytest.fixture(scope="session")
def outside():
    """Return the requests that left this machine; there must be none."""
    return []


@pytest.fixture
def visit(browser, server, outside):
    """Return a function that opens a page of the server, in a session of its own."""
    opened = []

    def visit(address, scheme="light"):
        page = browser.new_page(color_scheme=scheme, viewport=WIDE)
        page.set_default_timeout(SEEN)
        opened.append(page)
        page.on("request", lambda request: _note(request.url, server, outside))
        page.goto(f"{server.address}/{address}")
        return page

    yield visit
    for page in opened:
        page.close()


def _note(url, server, outside):
    local = (server.address, server.address.replace("http", "ws", 1), "data:", "blob:")
    if not url.startswith(local):
        outside.append(url)


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory):
    """Return the folder for pictures: RANKSCOPE_SCREENSHOTS, or a temporary one."""
    named = os.environ.get("RANKSCOPE_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
