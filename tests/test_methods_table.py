"""The README's table of compression methods has every one (`make methods-table` writes it)."""

import re

from analysis.compress.registry import scan
from tests.bench import methods_table

ROW = re.compile(r"^\| (?P<title>.+?) \(`(?P<name>\w+)`.*?\).*? \|", re.MULTILINE)


def table():
    [found] = methods_table.TABLE.finditer(methods_table.README.read_text())
    return found[0]


def test_every_method_stands_in_the_readmes_table():
    methods, broken = scan()
    found = {row["name"]: row["title"] for row in ROW.finditer(table())}
    assert not broken
    assert found == {name: method.title for name, method in methods.items()}, "make methods-table"


def test_every_row_says_what_its_trial_keeps_loses_and_takes():
    head, _, *rows = [line for line in table().splitlines() if line.startswith("|")]
    assert [cell.strip() for cell in head.strip("|").split("|")] == list(methods_table.HEAD)
    for row in rows:
        _, sizes, kept, size, loss, predicted, perplexity, seconds = (
            cell.strip() for cell in row.strip("|").split("|")
        )
        assert sizes
        assert 0 < float(kept.rstrip("%")) <= 110
        assert 0 < float(size.rstrip("%")) <= 110
        value, low, high = (float(word.strip("[],")) for word in loss.split())
        assert low <= value <= high
        assert predicted == "" or float(predicted) < 10
        assert float(perplexity) > 1
        assert float(seconds) > 0


def test_the_table_is_written_between_its_marks_and_nowhere_else():
    readme = "a\n<!-- methods: by hand -->\nold\n<!-- /methods -->\nb | c\n"
    found = methods_table.written(readme, "new\n")
    assert found == "a\n<!-- methods: by hand -->\nnew\n<!-- /methods -->\nb | c\n"
    assert methods_table.written(found, "new\n") == found
