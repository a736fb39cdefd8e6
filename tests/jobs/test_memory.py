"""Free memory: of the machine, and within the limits of Linux's control groups."""

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from jobs import memory


@pytest.fixture(autouse=True)
def _machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    monkeypatch.setattr(memory, "GROUPS", tmp_path)
    monkeypatch.setattr(memory, "OWN", tmp_path / "own")


def group(folder: Path, version: int, limit: str, used: int, cached: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = list(memory.VERSIONS.values())[version - 1]
    for name, value in zip(names, (limit, used), strict=False):
        (folder / name).write_text(f"{value}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{names[2]} {cached}\n")


def test_without_groups_it_is_the_machines() -> None:
    assert memory.free() == 1000


@pytest.mark.parametrize(
    ("limit", "expected"), [("800", 800 - 300 + 100), ("max", 1000), ("9000", 1000), ("100", 0)]
)
def test_a_limit_counts_without_the_cache_that_gives_way(
    tmp_path: Path, limit: str, expected: int
) -> None:
    (tmp_path / "own").write_text("0::/\n")
    group(tmp_path, 1, limit, 300, 100)
    assert memory.free() == expected


def test_the_groups_around_count_too(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("0::/slice/job\n")
    group(tmp_path / "slice" / "job", 1, "max", 10, 0)
    group(tmp_path / "slice", 1, "500", 100, 0)
    assert memory.free() == 400


def test_the_first_version_has_a_folder_for_each_kind(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("5:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/\n")
    group(tmp_path / "memory", 2, "700", 200, 50)  # a container sees its own at the root
    assert memory.free() == 550
