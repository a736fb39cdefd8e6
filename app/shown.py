"""One job as pages and reports see it: its measured rows, and the means to read their arrays."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from jobs.states import ACTIVE

FIRST_DRAWN = {"rank": 0, "ratio": 1}  # the kinds of columns that answer this tool's question
TOLD = ("failed", "zero")  # rows without numbers that say why


@dataclass(frozen=True, eq=False)
class Shown:
    """One job as its panel sees it."""

    client: Any
    declared: Mapping[str, Any]  # the analysis in the catalogue; {} when it is gone
    job: Mapping[str, Any]
    rows: pd.DataFrame  # the measured rows; of a running job those that there are
    array: Callable[[Any], np.ndarray]  # an array's cell to its numbers
    running: bool = False

    @classmethod
    def of(cls, client: Any, declared: Mapping[str, Any], job: Mapping[str, Any]) -> Self:
        """Return a job with what it has found so far."""
        columns = [column["name"] for column in declared.get("columns", [])]
        rows = measured(client.store.results(job["id"]), columns)
        rows = in_order(rows, list(client.store.labels(job["model"])["layer"]))
        return cls(client, declared, job, rows, client.array, job["state"] in ACTIVE)

    @property
    def columns(self) -> dict[str, Mapping[str, Any]]:
        """The declared columns by name."""
        return {column["name"]: column for column in self.declared.get("columns", [])}


def measured(found: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Return the rows with numbers, and those that say why they have none.

    Skipped tensors, spectra made on the way and units that wait are under Units.
    """
    numbers = [name for name in columns if name in found]
    kept = found[found[numbers].notna().any(axis=1) | found["status"].isin(TOLD)]
    return kept.assign(layer=kept["layer"].fillna(kept["label"])) if "layer" in kept else kept


def in_order(found: pd.DataFrame, layers: list[str]) -> pd.DataFrame:
    """Return the rows in the model's order of layers; units finish in another."""
    place = {name: i for i, name in enumerate(layers)}

    def where(layer: str) -> int:
        return place.get(layer, place.get(str(layer).partition("[")[0], len(place)))

    name = "layer" if "layer" in found else "label"
    return found.sort_values(name, key=lambda column: column.map(where), kind="stable")


def of_the_model(found: pd.DataFrame, columns: Mapping[str, Any]) -> list[str]:
    """Return the columns that repeat one number of the whole model in each row."""
    whole = [name for name in columns if name.startswith("model_")]
    if whole and "threshold" in columns:
        whole = ["threshold", *whole]
    return [n for n in whole if is_number(found, n) and found[n].nunique() == 1]


def is_number(table: pd.DataFrame, name: str) -> bool:
    """Return whether a column is there and holds numbers."""
    return name in table and pd.api.types.is_numeric_dtype(table[name])


def numeric(shown: Shown, without: Sequence[str] = ()) -> list[str]:
    """Return the columns that can be drawn by layer, ranks first."""
    columns = shown.columns
    found = [
        name
        for name, column in columns.items()
        if column.get("kind") != "note" and name not in without and is_number(shown.rows, name)
    ]
    return sorted(found, key=lambda name: FIRST_DRAWN.get(columns[name].get("kind", ""), 2))


def without_idle(found: pd.DataFrame) -> pd.DataFrame:
    """Return the table without columns that say nothing here."""
    idle = ["message"] if (found["message"].fillna("") == "").all() else []
    idle += ["label"] if "layer" in found else []
    return found.drop(columns=idle)
