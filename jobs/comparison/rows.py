"""Rows of one analysis's results in several jobs, met by layer and whatever else names a row."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

NAMES = ("str", "int", "bool")  # types of columns that may name a row
MEASURES = ("rank", "exponent", "ratio", "norm", "count")  # kinds that are never a row's name


def named_by(tables: Sequence[pd.DataFrame], columns: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the columns that, with the layer, tell the rows of every table apart.

    Declared names (text, whole numbers that measure nothing) are taken in their order, each only
    where it splits rows that were still alike; what stays alike is met in the order of the rows.
    """
    taken: list[str] = []
    for column in columns:
        name = str(column["name"])
        usable = column["type"] in NAMES and column.get("kind") not in MEASURES
        if name == "layer" or not usable or not all(name in table for table in tables):
            continue
        if any(_splits(table, taken, name) for table in tables):
            taken.append(name)
    return taken


def _splits(table: pd.DataFrame, taken: Sequence[str], name: str) -> bool:
    alike = ["layer", *taken]
    before = table.duplicated(alike).sum()
    return bool(before and table.duplicated([*alike, name]).sum() < before)


def placed(table: pd.DataFrame, labels: pd.DataFrame, named: Sequence[str]) -> pd.DataFrame:
    """Return results with the columns that places are met by: layer, block, module, view.

    `labels` are those of the job's model. A row of no known layer stands by its own name. `view`
    also carries what names the row beside its layer.
    """
    known = labels.drop_duplicates("layer").set_index("layer")
    layer = table["layer"].fillna("").astype(str)
    where = known.reindex(layer)
    view = where["view"].fillna("").astype(str).to_numpy()
    more = [[f"{name} {value}" for value in table[name]] for name in named]
    joined = [" · ".join(filter(None, words)) for words in zip(view, *more, strict=True)]
    return table.assign(
        layer=[
            " · ".join([name, *words[1:]])
            for name, words in zip(layer, zip(view, *more, strict=True), strict=True)
        ],
        block=where["block"].to_numpy(),
        module=where["module"].where(where["module"].notna(), layer.to_numpy()).to_numpy(),
        view=joined,
    )
