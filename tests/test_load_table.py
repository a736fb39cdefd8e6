"""The bench of pages writes its table where the README has a place for it, and marks the slow."""

import pytest

from tests.bench import pages


def test_the_readme_has_one_place_for_the_table():
    [_] = pages.TABLE.finditer(pages.README.read_text())


def test_the_table_is_written_between_its_marks_and_nowhere_else():
    readme = "a\n<!-- load: by hand -->\nold\n<!-- /load -->\nb | c\n"
    found = pages.written(readme, "new\n")
    assert found == "a\n<!-- load: by hand -->\nnew\n<!-- /load -->\nb | c\n"
    assert pages.written(found, "new\n") == found


@pytest.mark.parametrize(
    ("seconds", "words"), [(1.999, "2.00 s"), (2.0, "2.00 s"), (2.004, "2.00 s (over 2)")]
)
def test_what_is_over_its_limit_is_marked(seconds, words):
    assert pages.said(seconds, 2.0) == words
