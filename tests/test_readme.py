"""What the README says is true: its list of analyses, its files, its pictures, its examples.

`make readme` writes the list, `make screenshots` takes the pictures.
"""

import re
import sys
from pathlib import Path

import pytest
import torch

import analysis
from analysis import compress, registry
from analysis.catalogue import describe
from analysis.compress import registry as methods
from analysis.compress.pieces import Piece, Statistics
from analysis.weights.matrix import Matrix

README = Path(__file__).parents[1] / "README.md"
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)")
PICTURES, LARGEST = Path("docs/screenshots"), 300_000  # bytes of one
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


def test_pictures_are_there_described_and_small():
    shown = {Path(path): words for words, path in PICTURE.findall(README.read_text())}
    taken = {PICTURES / file.name for file in (README.parent / PICTURES).iterdir()}
    assert shown.keys() == taken, "run `make screenshots`"
    for path, words in shown.items():
        file = README.parent / path
        assert file.read_bytes().startswith(b"\x89PNG"), path
        assert file.stat().st_size < LARGEST, path
        assert len(words.split()) > 4, f"{path} is not described"


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


@pytest.fixture
def mean_shifted(tmp_path, monkeypatch):
    """Return the README's example of a method, registered from a file beside the others."""
    [source] = re.findall(r"```python\n(\"\"\"Mean-shifted.*?)```", README.read_text(), re.DOTALL)
    (tmp_path / "mean_shifted.py").write_text(source)
    monkeypatch.setattr(compress, "__path__", [*compress.__path__, str(tmp_path)])
    yield methods.find("mean_shifted")
    methods._registered.pop("mean_shifted")
    sys.modules.pop("analysis.compress.mean_shifted")


def test_the_readmes_method_works(mean_shifted):
    assert describe()["methods"]["mean_shifted"]["sizes"] == "ranks"
    W = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    size = torch.tensor([9.0, 1, 1, 1], dtype=torch.float64)
    found = Statistics(tokens=100, gram=torch.diag(size.square()), mean_abs=size)
    given = Piece("blocks.0.q", "q", 0, W, found)
    factors = mean_shifted.function([given], mean_shifted.params())
    B, A = factors["blocks.0.q.B"], factors["blocks.0.q.A"]
    assert torch.allclose(B @ A, W, atol=1e-12)
    # The column that is weighed by 9 is what rank 1 keeps best.
    lost = (W - B[:, :1] @ A[:1]).square().sum(0)
    assert lost[0] < 0.05 * lost.sum()


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
    sys.stdout.write(analyses_as_markdown())
