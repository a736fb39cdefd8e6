"""The README's list of analyses is what the registry declares (`make readme` writes it)."""

import re
import sys
from pathlib import Path

import pytest
import torch

import analysis
from analysis import registry
from analysis.catalogue import describe
from analysis.weights.matrix import Matrix

README = Path(__file__).parents[1] / "README.md"
LIST = re.compile(r"(<!-- analyses:.*?-->\n).*?(<!-- /analyses -->)", re.DOTALL)


def analyses_as_markdown():
    rows = ["| analysis | what | in |", "|---|---|---|"]
    for name, declared in describe()["analyses"].items():
        summary = declared["doc"].split("\n")[0]
        rows.append(f"| {declared['title']} (`{name}`) | {summary} | `analysis/{name}.py` |")
    return "\n".join(rows) + "\n"


def written(readme):
    return LIST.sub(lambda found: found[1] + analyses_as_markdown() + found[2], readme)


def test_no_analysis_is_broken():
    assert describe()["broken"] == {}


def test_the_list_of_analyses_is_true():
    readme = README.read_text()
    assert LIST.search(readme)
    assert written(readme) == readme, "run `make readme`"


def test_every_file_the_readme_names_exists():
    tree = README.read_text().split("```\nanalysis/")[1].split("```")[0]
    folders = {"": README.parent}
    for line in ("analysis/" + tree).strip().splitlines():
        name = line.split()[0]
        if not line.startswith(" "):
            folders["here"] = README.parent / name
            assert folders["here"].is_dir(), name
        else:
            assert (folders["here"] / name).exists(), name


@pytest.fixture
def coherence(tmp_path, monkeypatch):
    """Return the README's own example, registered from a file beside the others."""
    [source] = re.findall(r"```python\n(\"\"\"Coherence.*?)```", README.read_text(), re.DOTALL)
    (tmp_path / "coherence.py").write_text(source)
    monkeypatch.setattr(analysis, "__path__", [*analysis.__path__, str(tmp_path)])
    yield registry.find("coherence")
    registry._registered.pop("coherence")
    sys.modules.pop("analysis.coherence")


def test_the_readmes_analysis_works(coherence):
    assert describe()["analyses"]["coherence"]["params"][0]["default"] == 8
    # The leading directions of a diagonal matrix are axes: as coherent as can be, m/k = 16/8.
    matrix = Matrix.of(torch.diag(torch.arange(16.0, 0, -1)))
    [row] = coherence.function(matrix, coherence.params())
    assert row.coherence == pytest.approx(2)


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
    sys.stdout.write(analyses_as_markdown())
