"""Each import contract of pyproject.toml catches the violation it is there for."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ["app", "jobs", "analysis", "store"]
VIOLATIONS = {
    "app over jobs over analysis and store": ("store/planted.py", "import analysis.registry"),
    "only jobs imports ray": ("app/views/planted.py", "import ray"),
    "only store imports duckdb": ("jobs/planted.py", "import duckdb"),
    "only the app's pages import streamlit": ("jobs/planted.py", "import streamlit"),
    "plots are pure": ("app/plots/planted.py", "import store.schema"),
    "texts and reports are pure": ("app/reports/planted.py", "import app.views.reports"),
    "the page process imports no torch": ("app/planted.py", "import torch"),
    "no analysis imports another": ("analysis/planted.py", "import analysis.spectrum"),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Return a copy of the four packages and their contracts, without the models."""
    folder = tmp_path_factory.mktemp("walls")
    for name in FOLDERS:
        ignored = shutil.ignore_patterns("__pycache__", "*.safetensors")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def broken_contracts(folder):
    """Return the names of the contracts that import-linter finds broken."""
    command = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run(  # the program of this environment, on a copy
        [command, "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(folder), "PATH": "", "COLUMNS": "200"},
    )
    assert "Contracts:" in run.stdout, run.stdout + run.stderr
    return re.findall(r"^(.+?) BROKEN", run.stdout, re.MULTILINE)


def test_the_walls_stand(copy):
    assert broken_contracts(copy) == []


@pytest.mark.parametrize("contract", VIOLATIONS)
def test_a_violation_is_caught(copy, contract):
    path, line = VIOLATIONS[contract]
    planted = copy / path
    planted.write_text(line + "\n")
    try:
        assert any(name.startswith(contract) for name in broken_contracts(copy))
    finally:
        planted.unlink()
