"""The server without Ray, and what a second one on the same home is told."""

import os
import subprocess

import pytest

from tests.browser.server import ROOT, command, free_port, served


@pytest.fixture(scope="module")
def browsing(tmp_path_factory):
    """Return a browse-only server over an empty home."""
    with served(tmp_path_factory.mktemp("home"), "--", "--no-ray") as server:
        yield server


def started(home):
    """Try to start a server on a home; return how that ended."""
    return subprocess.run(
        command(free_port(), "--", "--no-ray"),
        cwd=ROOT,
        env={**os.environ, "RANKSCOPE_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_browse_only_server_answers_and_starts_no_ray(browsing):
    assert browsing.healthy()
    assert list(browsing.family()) == [browsing.process.pid]
    assert f"Rankscope is at {browsing.address}" in browsing.log.read_text()


def test_a_second_server_on_the_home_is_told_who_has_it(browsing):
    second = started(browsing.home)
    assert second.returncode == 2
    assert f"pid {browsing.process.pid}" in second.stderr
    assert "RANKSCOPE_HOME" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_home_that_cannot_be_made_is_a_sentence(tmp_path):
    file = tmp_path / "file"
    file.touch()
    run = started(file / "home")
    assert run.returncode == 2
    assert "cannot be written" in run.stderr
    assert "Traceback" not in run.stderr
