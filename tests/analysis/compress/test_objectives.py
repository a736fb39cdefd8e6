"""Which curve an objective reads, and which one is chosen."""

import numpy as np
import pytest

from analysis.compress.allocation.allocate import Allocator
from analysis.compress.allocation.objectives import FIELDS, chosen, curves, known

COLUMNS = ("plain", "whitened", "heldout", "expected")


def row(seed, **changed):
    random = np.random.default_rng(seed)
    lists = {
        name: [*np.sort(random.gamma(1.0, size=4))[::-1], 0.0] for name in COLUMNS
    }  # fmt: skip
    return {"layer": f"w{seed}", "rows": 6, "cols": 4, **lists, **changed}


def test_the_best_that_every_row_knows_comes_first():
    rows = [row(0), row(1)]
    assert known(rows) == ["expected", "whitened", "relative", "total"]
    assert known([row(0), row(1, expected=[])]) == ["whitened", "relative", "total"]
    assert known([row(0, whitened=()), row(1, expected=[])]) == ["relative", "total"]
    assert known([row(0, **dict.fromkeys(COLUMNS, ()))]) == []


def test_auto_is_the_best_that_is_known_and_a_name_is_itself():
    assert chosen("auto", [row(0)]) == "expected"
    assert chosen("auto", [row(0), row(1, expected=[])]) == "whitened"
    assert [chosen(name, [row(0)]) for name in FIELDS] == list(FIELDS)


def test_what_is_not_known_is_refused_with_what_is():
    rows = [row(0), row(1, expected=[])]
    with pytest.raises(ValueError, match=r"expected an objective of whitened, .*, got 'expected'"):
        chosen("expected", rows)
    with pytest.raises(ValueError, match="got 'energy'"):
        chosen("energy", rows)


@pytest.mark.parametrize(
    ("objective", "column", "own"),
    [
        ("expected", "expected", False),
        ("whitened", "whitened", True),
        ("relative", "plain", True),
        ("total", "plain", False),
    ],
)
def test_an_objective_is_the_sum_over_its_column(objective, column, own):
    rows = [row(0), row(1), row(2)]
    made, weighing = curves(rows, objective, "row_interpolative")
    found = Allocator(made, weighing).allocate("uniform", 0.5)
    lost = [r[column][k] for r, k in zip(rows, found.rank, strict=True)]
    whole = [r[column][0] for r in rows]
    assert not found.dense.any()
    if own:
        expected = np.mean([a / b for a, b in zip(lost, whole, strict=True)])
    else:
        expected = sum(lost) / sum(whole)
        # Nats, or energy, as they are: what the page adds up.
        assert made.energy @ found.lost == pytest.approx(sum(lost), rel=1e-14)
    assert found.error**2 == pytest.approx(expected, rel=1e-14)
