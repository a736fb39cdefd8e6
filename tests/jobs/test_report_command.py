"""`report` in this process, without Ray: what it writes, and what it says of bad input."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from jobs import cluster
from jobs.__main__ import main
from tests.browser.test_dropped_in import MADE_UP

ROOT = Path(__file__).parents[2]
Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKSCOPE_HOME", str(home))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr(cluster, "connect", _never)


def _never(*_: object) -> None:
    raise AssertionError("expected no cluster")


@pytest.fixture
def measured(model: Path, capsys: Captured) -> str:
    """Measure a model's v layers; return the job."""
    assert main(["models", "add", str(model), "--name", "mine"]) == 0
    assert main(["analyze", "mine", "spectrum", "--local", "--layers", "blocks.*.v"]) == 0
    return capsys.readouterr().out.split("job ")[1].split(":")[0]


@pytest.mark.parametrize("form", ["html", "pdf", "md", "zip"])
def test_a_report_is_written_by_the_ending_of_its_file(
    measured: str, form: str, tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / f"report.{form}"
    assert main(["report", "mine", "--out", str(out)]) == 0
    assert f"wrote {out}" in capsys.readouterr().out
    begins = {"html": b"<!DOCTYPE html>", "pdf": b"%PDF", "md": b"# Rankscope", "zip": b"PK"}
    assert out.read_bytes().startswith(begins[form])
    assert list(tmp_path.glob(".*.part")) == []


def test_chosen_jobs_are_reported_by_the_beginning_of_their_id(
    measured: str, tmp_path: Path
) -> None:
    out = tmp_path / "report.md"
    words = ["report", "mine", "--jobs", measured[:5], "--format", "md", "--out", str(out)]
    assert main(words) == 0
    said = out.read_text()
    assert f"Job: {measured}, done" in said
    assert "blocks.0.v" in said


def test_a_file_is_only_overwritten_when_that_is_asked(
    measured: str, tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "report.md"
    out.write_text("mine")
    assert main(["report", "mine", "--out", str(out)]) == 2
    assert "add --force" in capsys.readouterr().err
    assert out.read_text() == "mine"
    assert main(["report", "mine", "--out", str(out), "--force"]) == 0
    assert out.read_text().startswith("# Rankscope")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("report mine --out {folder}/none/x.md", "does not exist: make it"),
        ("report mine --out {folder}", "is a folder"),
        ("report mine --out {folder}/x.docx", "ends in no known format"),
        ("report mnie --out {folder}/x.md", "did you mean 'mine'"),
        ("report mine --jobs nothing --out {folder}/x.md", "unknown job 'nothing'"),
    ],
)
def test_bad_input_is_a_sentence(
    measured: str, words: str, said: str, tmp_path: Path, capsys: Captured
) -> None:
    assert main(words.format(folder=tmp_path).split()) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert not (tmp_path / "x.md").exists()


def test_a_model_without_a_finished_job_and_a_job_of_another_are_said(
    measured: str, model: Path, tmp_path: Path, capsys: Captured
) -> None:
    assert main(["models", "add", str(model), "--name", "other"]) == 0
    out = str(tmp_path / "x.md")
    assert main(["report", "other", "--out", out]) == 2
    assert "python -m jobs analyze other spectrum" in capsys.readouterr().err
    assert main(["report", "other", "--jobs", measured, "--out", out]) == 2
    assert f"job {measured} is of mine, not of other" in capsys.readouterr().err


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Return a copy of the program, so that the file is dropped into no one's checkout."""
    root, ignored = tmp_path / "program", shutil.ignore_patterns("__pycache__", "*.safetensors")
    for name in ("app", "jobs", "store", "analysis"):
        shutil.copytree(ROOT / name, root / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


def test_a_dropped_in_analysis_is_in_the_report_with_nothing_edited(
    program: Path, home: Path, model: Path, tmp_path: Path
) -> None:
    (program / "analysis" / "made_up.py").write_text(MADE_UP)
    for words in (
        ["models", "add", str(model), "--name", "mine"],
        ["analyze", "mine", "made_up", "--local", "--set", "portion=0.25"],
        ["report", "mine", "--out", str(tmp_path / "x.zip")],
    ):
        _run(program, home, words)
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        files = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    assert "figures/01-taken-rows-by-layer.png" in json.loads(files["manifest.json"])["files"]
    said = files["report.md"].decode()
    assert "## Made-up measure" in said
    assert "### Taken rows by layer" in said
    assert "| blocks.0.v |" in said


def _run(program: Path, home: Path, words: list[str]) -> None:
    command = [sys.executable, "-m", "jobs", *words]
    env = {"RANKSCOPE_HOME": str(home), "PATH": "", "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        command, cwd=program, env=env, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr


def test_no_other_command_reads_what_draws(home: Path) -> None:
    """The report is looked up when it runs: `--help` and `status` stay quick."""
    code = "import sys, jobs.__main__; print({'app', 'plotly', 'matplotlib'} & sys.modules.keys())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
