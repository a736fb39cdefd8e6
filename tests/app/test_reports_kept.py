"""Reports that a home keeps: whole or absent, listed with what is in them, removable."""

import dataclasses
import hashlib
import json

import pytest

from app.reports import kept
from app.reports.model import Report

REPORT = Report("t", "<b>../../x</b>", 1_800_000_000.0, (), ())


def test_what_is_kept_is_listed_with_its_bytes(tmp_path):
    one = kept.keep(tmp_path, REPORT, "md", b"said")
    assert kept.listed(tmp_path) == [one]
    assert kept.content(tmp_path, one) == b"said"
    assert (one.bytes, one.sha256) == (4, hashlib.sha256(b"said").hexdigest())
    [folder] = (tmp_path / "reports").iterdir()
    assert folder.name == one.id
    assert one.file == "rankscope-b-x-b.md"


def test_the_newest_is_first_and_two_of_one_second_are_two(tmp_path):
    later = dataclasses.replace(REPORT, created=REPORT.created + 5)
    for report in (REPORT, later, REPORT):
        kept.keep(tmp_path, report, "md", b"x")
    found = kept.listed(tmp_path)
    assert len({one.id for one in found}) == 3
    assert found[0].created == later.created


def test_a_report_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept.Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        kept.keep(tmp_path, REPORT, "md", b"said")
    assert kept.listed(tmp_path) == []
    assert list((tmp_path / "reports").iterdir()) == []


def test_a_half_written_folder_or_a_foreign_one_is_not_listed(tmp_path):
    one = kept.keep(tmp_path, REPORT, "md", b"said")
    about = json.loads((tmp_path / "reports" / one.id / "about.json").read_text())
    for name, said in (
        (".draft-x", about),  # one whose writer was killed
        ("foreign", {**about, "id": "../.."}),
        ("broken", []),
    ):
        folder = tmp_path / "reports" / name
        folder.mkdir()
        (folder / "about.json").write_text(json.dumps(said))
        (folder / one.file).write_bytes(b"x")
    assert kept.listed(tmp_path) == [one]


def test_only_what_is_listed_is_removed(tmp_path):
    one = kept.keep(tmp_path, REPORT, "md", b"said")
    beside = tmp_path / "beside"
    beside.mkdir()
    kept.remove(tmp_path, "../beside")
    assert beside.is_dir()
    kept.remove(tmp_path, one.id)
    kept.remove(tmp_path, one.id)
    assert kept.listed(tmp_path) == []
