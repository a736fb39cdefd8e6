"""An analysis is one file: dropped in beside a running server, it is on the page after a reload."""

import json
import re
import shutil
import subprocess
import sys

import pytest
from playwright.sync_api import expect

from tests.browser.server import ROOT, served

pytestmark = pytest.mark.browser
MADE_UP = '''"""A made-up measure."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from analysis.registry import register
from analysis.weights.matrix import Matrix


@dataclass(frozen=True)
class Params:
    """How much to take."""

    portion: float = field(default=0.5, metadata={"help": "how much", "min": 0.0, "max": 1.0})


@dataclass(frozen=True)
class Row:
    """One row per matrix."""

    taken_rows: float


@register(title="Made-up measure", view="nothing", unit="matrix")
def made_up(matrix: Matrix, params: Params) -> Iterator[Row]:
    """Yield a share of the number of rows."""
    yield Row(taken_rows=params.portion * matrix.shape[0])
'''


@pytest.fixture
def copy(tmp_path):
    """Return a copy of the program, so that the file is dropped into no one's checkout."""
    root = tmp_path / "program"
    for name in ("app", "jobs", "store", "analysis", ".streamlit"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def test_a_dropped_in_file_is_in_the_form_the_store_and_the_command_line(browser, copy, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    with served(home, root=copy) as server:
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(f"{server.address}/analyses?glob=blocks.0.v")
        expect(page.get_by_role("combobox", name="Analysis")).to_have_value("Weight spectra")
        (copy / "analysis" / "made_up.py").write_text(MADE_UP)
        page.goto(f"{server.address}/analyses?glob=blocks.0.v&analysis=made_up")
        portion = page.get_by_role("spinbutton", name="Portion")
        portion.fill("0.25")
        portion.press("Enter")
        page.get_by_role("button", name="Launch").click()
        expect(page.get_by_text("portion = 0.25")).to_be_visible()
        expect(page.get_by_text("Done: 1 of 1 units")).to_be_visible(timeout=180_000)
        expect(page.get_by_role("combobox", name="Draw")).to_have_value("Taken rows")
        job = re.search(r"job=(\w+)", page.url).group(1)
        page.close()
    told = subprocess.run(
        [sys.executable, "-m", "jobs", "results", job, "--format", "json"],
        cwd=copy,
        env={"RANKSCOPE_HOME": str(home), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    [row] = json.loads(told.stdout)
    assert (row["label"], row["taken_rows"]) == ("blocks.0.v", 32.0)
