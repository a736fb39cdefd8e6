"""Which layers of several models stand in the same place: the same block, module and view.

Layer names play no part while these three tell a model's layers apart, so a model whose tensors are
called otherwise is still met layer by layer.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

BLOCK_NUMBER = re.compile(r"^\D*\d+\.")
Key = tuple[Any, ...]  # block or None, module, view, what tells doubled ones apart, which of them


@dataclass(frozen=True, eq=False)
class Aligned:
    """Rows of n tables that stand in the same places.

    `places` has a row for each place: layer (unique: the first table's name where it has one),
    block, module, view. `at` (places, n) is the row of each table there, -1 where it has none.
    """

    places: pd.DataFrame
    at: np.ndarray

    def taken(self, table: pd.DataFrame, subject: int) -> pd.DataFrame:
        """Return the rows of a subject's table in the order of the places, empty where it has none.

        Columns of whole numbers become floats where a place is empty.
        """
        rows = table.reset_index(drop=True)
        return rows.reindex(self.at[:, subject]).reset_index(drop=True)

    def lacking(self, subject: int) -> np.ndarray:
        """Return which places a subject has no layer at, bool (places,)."""
        return np.asarray(self.at[:, subject] < 0)


def aligned(
    tables: Sequence[pd.DataFrame], names: Sequence[str], *, by_depth: bool = False
) -> Aligned:
    """Align tables with the columns layer, block, module and view; the first leads.

    Blocks meet by their number, or `by_depth`: then the i-th of the first model's n blocks meets
    the one at `depth(i, n, m)` of another's m. No row is lost: what only some have stands below the
    first table's rows, or on its own. `names` tell apart layers of one name that do not meet.
    """
    doubled = set().union(*(_doubled(table) for table in tables))
    keyed = [_keys(table, doubled) for table in tables]
    rows: dict[Key, list[int]] = {
        key: [at, *[-1] * (len(tables) - 1)] for at, key in enumerate(keyed[0])
    }
    for subject, keys in enumerate(keyed[1:], start=1):
        meets = _meeting(keyed[0], keys) if by_depth else {}
        where = {key: at for at, key in enumerate(keys)}
        met = set()
        for key in keyed[0]:
            sought = (meets.get(key[0], key[0]), *key[1:])
            if sought in where:
                rows[key][subject] = where[sought]
                met.add(sought)
        for key in (key for key in keys if key not in met):
            own = (*key, subject) if by_depth else key
            rows.setdefault(own, [-1] * len(tables))[subject] = where[key]
    at = np.array(list(rows.values()), dtype=np.int64).reshape(len(rows), len(tables))
    return Aligned(_places(tables, names, at), at)


def depth(block: int, blocks: int, others: int) -> int:
    """Return which of `others` blocks stands at the relative depth of block i of n.

    i (m - 1) / (n - 1), rounded to the nearest, a half up; the first of all where n is 1.
    """
    if blocks < 2:
        return 0
    return math.floor(block * (others - 1) / (blocks - 1) + 0.5)


def _meeting(first: Sequence[Key], other: Sequence[Key]) -> dict[int, int]:
    """Return for each block number of the first model that of the other at the same depth."""
    ours, theirs = (sorted({key[0] for key in keys} - {None}) for keys in (first, other))
    if not theirs:
        return {}
    return {
        number: theirs[depth(place, len(ours), len(theirs))] for place, number in enumerate(ours)
    }


def _doubled(table: pd.DataFrame) -> set[tuple[str, str]]:
    """Return the modules and views that some block has more than one layer of."""
    several = table.duplicated(["block", "module", "view"], keep=False)
    return set(zip(table.loc[several, "module"], table.loc[several, "view"], strict=True))


def _keys(table: pd.DataFrame, doubled: set[tuple[str, str]]) -> list[Key]:
    seen: dict[Key, int] = {}
    found = []
    for row in table[["layer", "block", "module", "view"]].to_dict("records"):
        key = _key(row, doubled)
        seen[key] = seen.get(key, -1) + 1
        found.append((*key, seen[key]))
    return found


def _key(row: Mapping[Any, Any], doubled: set[tuple[str, str]]) -> Key:
    block = None if pd.isna(row["block"]) else int(row["block"])
    which = ""
    if (row["module"], row["view"]) in doubled:
        which = str(row["layer"]) if block is None else BLOCK_NUMBER.sub("", str(row["layer"]))
    return block, row["module"], row["view"], which


def _places(tables: Sequence[pd.DataFrame], names: Sequence[str], at: np.ndarray) -> pd.DataFrame:
    """Return what stands at each place, told by the first table that has a layer there."""
    records = [table[["layer", "block", "module", "view"]].to_dict("records") for table in tables]
    found, known = [], set()
    for rows in at:
        subject = int(np.argmax(rows >= 0))
        row = records[subject][rows[subject]]
        layer = str(row["layer"])
        if layer in known:
            layer = f"{layer} of {names[subject]}"
        known.add(layer)
        found.append({"layer": layer, **{n: row[n] for n in ("block", "module", "view")}})
    places = pd.DataFrame(found, columns=["layer", "block", "module", "view"])
    return places.assign(block=pd.to_numeric(places["block"]).astype("Int64"))
