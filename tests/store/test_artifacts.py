"""Files are complete or absent, and lie under the hash of their content."""

import hashlib
from pathlib import Path

import pytest

from store import StoreUnwritable, artifacts


def test_a_file_lies_under_the_hash_of_its_content(home):
    kept = artifacts.keep(home, b"content", ".npy")
    sha256 = hashlib.sha256(b"content").hexdigest()
    path = f"artifacts/{sha256[:2]}/{sha256}.npy"
    assert kept == {"path": path, "sha256": sha256, "bytes": 7}
    assert (home / path).read_bytes() == b"content"


def test_equal_content_is_one_file(home):
    first, second = (artifacts.keep(home, b"same", ".bin") for _ in range(2))
    assert first == second
    assert [path for path in home.rglob("*") if path.is_file()] == [home / first["path"]]


def test_a_write_that_fails_leaves_no_file(home, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StoreUnwritable, match="no space left on device; free some space"):
        artifacts.keep(home, b"content", ".bin")
    assert [path for path in home.rglob("*") if path.is_file()] == []
