"""The catalogue: what every analysis declares, as data, without importing torch.

`catalog.json` in the home holds the declarations and a hash of all of `analysis/**/*.py`. Whoever
finds another hash has it rebuilt by a subprocess, the only one that imports the analyses.
"""

import contextlib
import dataclasses
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from jobs import suggest
from jobs.errors import JobError

FILE = "catalog.json"
Declaration = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Catalog:
    """What is declared, by name, the broken files with their errors, and the hash of all sources.

    `methods` are those of compression; `stages` are the tables that steps of a trial leave.
    """

    hash: str
    analyses: dict[str, Declaration]
    broken: dict[str, str]
    methods: dict[str, Declaration] = dataclasses.field(default_factory=dict)
    stages: dict[str, Declaration] = dataclasses.field(default_factory=dict)

    @classmethod
    def load(cls, home: Path) -> "Catalog":
        """Return the catalogue of the sources as they are now. Raises JobError when they fail."""
        current = source_hash()
        kept = _read(home / FILE)
        if kept is None or kept.hash != current:
            kept = cls(current, **_rebuild())
            _write(home / FILE, kept)
        return kept

    def analysis(self, name: str) -> Declaration:
        """Return one declaration. Raises JobError with the nearest name, or why it is broken."""
        if name in self.broken:
            raise JobError(f"analysis/{name}.py cannot be imported: {self.broken[name]}")
        if name not in self.analyses:
            raise suggest.unknown("analysis", name, self.analyses)
        return self.analyses[name]


def package_folder() -> Path:
    """Return the folder of the package `analysis`, found without importing it."""
    spec = importlib.util.find_spec("analysis")
    if spec is None or not spec.submodule_search_locations:
        raise JobError("the package 'analysis' is not on the Python path: start from the project")
    return Path(next(iter(spec.submodule_search_locations)))


def project_folder() -> Path:
    """Return the folder that workers need on their Python path."""
    return package_folder().parent


def source_hash() -> str:
    """Return the hash of the names and bytes of all Python sources of the package."""
    folder = package_folder()
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        # A file may go between the listing and the reading.
        with contextlib.suppress(FileNotFoundError):
            source = path.read_bytes()
            digest.update(f"{path.relative_to(folder)}\0{len(source)}\0".encode() + source)
    return digest.hexdigest()


def _read(path: Path) -> Catalog | None:
    try:
        return Catalog(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _write(path: Path, catalog: Catalog) -> None:
    draft = path.with_name(f".{path.name}-{os.getpid()}")
    # A home that cannot be written costs a rebuild, not the catalogue.
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(dataclasses.asdict(catalog)))
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()


def _rebuild() -> dict[str, Any]:
    project = str(project_folder())
    built = subprocess.run(
        [sys.executable, "-m", "analysis"],
        env={**os.environ, "PYTHONPATH": project},
        cwd=project,  # which -m looks in before PYTHONPATH
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        last = built.stderr.strip().splitlines()[-1:] or ["no output"]
        raise JobError(f"the list of analyses cannot be read: {last[0]}")
    with contextlib.suppress(ValueError, TypeError, KeyError):
        found = json.loads(built.stdout)
        listed = {name: found[name] for name in ("analyses", "broken")}
        return listed | {name: found.get(name, {}) for name in ("methods", "stages")}
    raise JobError(
        "the list of analyses cannot be read: expected JSON from `python -m analysis`, but it "
        f"begins with {built.stdout[:40]!r}: see that no analysis prints at its end"
    )
