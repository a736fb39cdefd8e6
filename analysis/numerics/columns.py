"""How a measure declares the column it fills: beside its formula, as metadata of a row field."""

import dataclasses
from functools import partial
from typing import Any


def column(kind: str, title: str, help: str, *, unit: str = "") -> Any:
    """Return a dataclass field whose metadata says what the column is.

    `kind` is "rank" (1 to min(m, n); a column `<name>_vs_noise` stands beside it), "norm",
    "exponent", "count", "ratio", or "note" (a fact about the matrix or the measurement).
    """
    return dataclasses.field(
        metadata={"title": title, "help": help, "kind": kind, **({"unit": unit} if unit else {})}
    )


rank = partial(column, "rank")
norm = partial(column, "norm")
exponent = partial(column, "exponent")
count = partial(column, "count")
ratio = partial(column, "ratio")
note = partial(column, "note")
