import json
import shutil
from pathlib import Path

import pytest

from jobs import catalog
from jobs.catalog import Catalog
from jobs.errors import JobError

REGISTRY = """
import json, sys
names = {"known": {"name": "known"}}
json.dump({"analyses": names, "broken": {"damaged": "ImportError: no"}}, sys.stdout)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package `analysis` that lists itself without importing torch."""
    folder = tmp_path / "project" / "analysis"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "__main__.py").write_text(REGISTRY)
    monkeypatch.setattr(catalog, "package_folder", lambda: folder)
    return folder


def test_it_is_made_once_and_again_when_a_source_changes(project: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = Catalog.load(home)
    assert first.analyses == {"known": {"name": "known"}}
    kept = json.loads((home / catalog.FILE).read_text())
    kept["analyses"] = {"kept": {"name": "kept"}}
    (home / catalog.FILE).write_text(json.dumps(kept))
    assert list(Catalog.load(home).analyses) == ["kept"]
    (project / "numerics").mkdir()
    (project / "numerics" / "new.py").write_text("x = 1")
    again = Catalog.load(home)
    assert list(again.analyses) == ["known"]
    assert again.hash != first.hash


def test_a_damaged_file_of_it_is_made_anew(project: Path, tmp_path: Path) -> None:
    (tmp_path / catalog.FILE).write_text('{"hash": ')
    assert list(Catalog.load(tmp_path).analyses) == ["known"]


def test_a_home_that_cannot_be_written_still_has_one(project: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert list(Catalog.load(tmp_path / "file").analyses) == ["known"]


def test_an_unknown_or_broken_analysis_is_a_sentence(project: Path, tmp_path: Path) -> None:
    found = Catalog.load(tmp_path)
    assert found.analysis("known") == {"name": "known"}
    with pytest.raises(JobError, match=r"unknown analysis 'knwon': did you mean 'known'\?"):
        found.analysis("knwon")
    with pytest.raises(JobError, match=r"analysis/damaged.py cannot be imported: ImportError"):
        found.analysis("damaged")


def test_a_list_that_cannot_be_made_is_a_sentence(project: Path, tmp_path: Path) -> None:
    (project / "__main__.py").write_text("raise SystemExit('registry.py is broken')")
    with pytest.raises(
        JobError, match=r"the list of analyses cannot be read: registry\.py is broken"
    ):
        Catalog.load(tmp_path)


def test_the_hash_knows_names_from_contents(project: Path) -> None:
    (project / "a.py").write_text("1")
    before = catalog.source_hash()
    (project / "a.py").rename(project / "b.py")
    assert catalog.source_hash() != before


def test_the_package_is_found_without_importing_it() -> None:
    assert (catalog.package_folder() / "registry.py").exists()


ANALYSIS = """
from dataclasses import dataclass, field
from pathlib import Path
from analysis.registry import register
{first}
@dataclass(frozen=True)
class Params:
    sizes: {type} = {default}
@dataclass(frozen=True)
class Row:
    top: float
@register(title="Made up", view="by_layer", unit="matrix")
def made_up(matrix, params):
    "Yield nothing."
    return ()
{last}
"""

METHOD = """
from dataclasses import dataclass
from analysis.compress.registry import register
@dataclass(frozen=True)
class Params:
    alpha: float = 0.5
@register(title="Whole", paper="https://arxiv.org/abs/1", needs=["gram"])
def whole(pieces, params):
    "Return nothing."
    return {}
"""
STAGES = """
from dataclasses import dataclass
@dataclass(frozen=True)
class Row:
    layer: str
STAGES = {"factors": Row}
"""


def test_one_bad_file_does_not_take_the_list_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "project" / "analysis"
    folder.mkdir(parents=True)
    for name in ("__init__.py", "__main__.py", "catalogue.py", "registry.py"):
        shutil.copy(catalog.package_folder() / name, folder)
    (folder / "compress" / "trials").mkdir(parents=True)
    (folder / "compress" / "trials" / "__init__.py").touch()
    for name in ("__init__.py", "registry.py"):
        shutil.copy(catalog.package_folder() / "compress" / name, folder / "compress")
    good = {"first": "", "last": "", "type": "int", "default": "1"}
    files = {
        "good": ANALYSIS.format(**good),
        "prints": ANALYSIS.format(**good | {"first": "print('imported')"}),
        "lists": ANALYSIS.format(**good | {"type": "list[int]", "default": "None"}),
        "unlike": ANALYSIS.format(**good | {"default": "Path('/')"}),
        "late": ANALYSIS.format(**good | {"last": "raise ValueError('too late')"}),
        "exits": "import sys; sys.exit(3)",
        "compress/whole": METHOD,
        "compress/good": "1 / 0",  # the analysis of this name is another one
        "compress/trials/stages": STAGES,
    }
    for name, source in files.items():
        (folder / f"{name}.py").write_text(source)
    monkeypatch.setattr(catalog, "package_folder", lambda: folder)
    found = Catalog.load(tmp_path)
    assert list(found.analyses) == ["good", "prints"]
    assert set(found.broken) == {"lists", "unlike", "late", "exits", "compress/good"}
    assert found.analysis("good")["title"] == "Made up"
    [method] = found.methods.values()
    assert (method["name"], method["needs"], method["sized"]) == ("whole", ["gram"], True)
    assert method["params"][0]["name"] == "alpha"
    assert found.stages["factors"]["columns"][0]["name"] == "layer"
    assert "list[int]" in found.broken["lists"]
    assert found.broken["exits"] == "SystemExit: 3"


@pytest.mark.parametrize("said", ["print('hello')", "print('[1]')", "print('{}')"])
def test_a_list_that_is_none_is_a_sentence(project: Path, tmp_path: Path, said: str) -> None:
    (project / "__main__.py").write_text(said)
    with pytest.raises(JobError, match="the list of analyses cannot be read: expected JSON"):
        Catalog.load(tmp_path)
