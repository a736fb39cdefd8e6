from pathlib import Path

import pytest

from jobs import home as places
from jobs.errors import JobError


def test_the_home_comes_from_the_environment(tmp_path: Path) -> None:
    assert places.from_environment({"RANKSCOPE_HOME": str(tmp_path)}) == tmp_path
    assert places.from_environment({}) == Path.home() / ".rankscope"


def test_a_home_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JobError, match=r"file/home cannot be written .*set RANKSCOPE_HOME"):
        places.prepare(tmp_path / "file" / "home")


def test_one_home_has_one_namespace_however_it_is_spelled(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert places.namespace(tmp_path / "link") == places.namespace(tmp_path / "real")
    assert places.namespace(tmp_path / "real") != places.namespace(tmp_path)


def test_a_page_opens_what_lies_under_the_roots_links_followed(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (inside / "link").symlink_to(outside)
    roots = places.roots(tmp_path / "home", tmp_path / "start", {"RANKSCOPE_ROOTS": str(inside)})
    places.check_allowed([inside], roots)
    for path in (outside, inside / "link", inside / ".." / "outside"):
        with pytest.raises(JobError, match="RANKSCOPE_ROOTS"):
            places.check_allowed([path], roots)
    with pytest.raises(JobError, match="does not exist"):
        places.check_allowed([inside / "nothing"], roots)


def test_the_default_roots(tmp_path: Path) -> None:
    roots = places.roots(tmp_path / "home", tmp_path / "start", {"HF_HOME": str(tmp_path / "hf")})
    own = [tmp_path / "home" / name for name in ("models", "runs")]
    assert roots == [tmp_path / "hf" / "hub", own[0], tmp_path / "start", own[1]]


def test_a_page_may_replay_what_a_training_run_of_this_home_has_written(tmp_path: Path) -> None:
    run = tmp_path / "home" / "runs" / "abc"
    run.mkdir(parents=True)
    for environ in ({}, {"RANKSCOPE_ROOTS": str(tmp_path / "start")}):
        roots = places.roots(tmp_path / "home", tmp_path / "start", environ)
        places.check_allowed([run], roots)
        with pytest.raises(JobError, match="lies outside"):
            places.check_allowed([tmp_path / "home"], roots)
