"""What a calibration says of a model: a method's squared errors at every rank of each layer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.compress.allocation import objectives
from analysis.compress.allocation.curves import Layer
from analysis.compress.allocation.together import Directions
from jobs.linear_layers import LinearLayers

FIRST = ("two_sided_svd", "whitened_svd")  # offered before the others
COVERED = 0.5  # of the linear layers' parameters: with less a method is not offered
SAME = 1e-5  # of ‖W‖²: what rounding may move it, and other weights surely do
Read = Callable[[str], np.ndarray]
COLUMNS = ("plain", "whitened", "expected", "first_order")


@dataclass(frozen=True, eq=False)
class Calibrated:
    """The curves of one method, by layer in the model's order.

    Each row has the layer's rows and cols, and by column an array (min(rows, cols) + 1,), empty
    where the calibration did not find it. `replaced` are layers whose curve is of other weights.
    """

    method: str
    rows: dict[str, dict[str, Any]]
    replaced: tuple[str, ...] = ()
    directions: tuple[Directions | None, ...] = ()

    def __post_init__(self) -> None:
        if not self.directions:
            object.__setattr__(self, "directions", (None,) * len(self.rows))

    @property
    def alone(self) -> list[str]:
        """The layers that are added up alone, where others are added up together."""
        without = [n for n, z in zip(self.rows, self.directions, strict=True) if z is None]
        return without if 0 < len(without) < len(self.rows) else []

    @property
    def objectives(self) -> list[str]:
        """The objectives that every layer knows, the best first."""
        return objectives.known(list(self.rows.values())) if self.rows else []

    @property
    def tokens(self) -> int:
        """The fewest tokens that a layer was calibrated on."""
        return min((int(row["tokens"]) for row in self.rows.values()), default=0)

    @classmethod
    def load(
        cls, store: Any, model: str, method: str, stored: LinearLayers, array: Read | None = None
    ) -> "Calibrated":
        """Read them from a store that answers in frames; curves of weights since replaced go.

        `array` reads the cells of array columns. Raises JobError where a file of one is gone.
        """
        found = store.factor_curves(model, method).set_index("layer", drop=False)
        layers = [name for name in stored.table["layer"] if name in found.index]
        rows: dict[str, dict[str, Any]] = {}
        replaced = []
        for row in found.loc[layers].to_dict("records"):
            if not len(row["plain"]):
                continue
            if _is_of(row, stored.spectra.get(row["layer"])):
                rows[row["layer"]] = {**row, **{c: np.asarray(row[c], float) for c in COLUMNS}}
            else:
                replaced.append(row["layer"])
        directions = tuple(_directions(row, array) for row in rows.values())
        return cls(method, rows, tuple(replaced), directions)


def methods(store: Any, model: str, table: pd.DataFrame) -> list[str]:
    """Return the methods with curves of at least half of the linear layers' parameters.

    The ones that predict loss come first. `table` is of the linear layers.
    """
    found = store.factor_methods(model)
    numbers = (table["rows"] * table["cols"]).set_axis(table["layer"])
    ranked = found[found["plain"].astype(bool) & found["layer"].isin(numbers.index)]
    held = ranked["layer"].map(numbers).groupby(ranked["method"]).sum()
    offered = list(held.index[held >= COVERED * numbers.sum()])
    predicts = ranked.groupby("method")["expected"].all()

    def place(name: str) -> tuple[bool, int, str]:
        known = FIRST.index(name) if name in FIRST else len(FIRST)
        return not predicts[name], known, name

    return sorted(offered, key=place)


def _directions(row: Mapping[str, Any], array: Read | None) -> Directions | None:
    """Return what is kept of a layer's changes token by token; rows of old have nothing."""
    cell = row.get("directions")
    if not isinstance(cell, str):
        return None
    if array is None:
        raise ValueError(f"expected a reader of arrays, for {row['layer']} has one")
    return Directions(row["sample"], np.asarray(row["levels"], dtype=np.int64), array(cell))


def _is_of(row: Mapping[str, Any], spectrum: Layer | None) -> bool:
    """Say whether a curve is of the weights as they are known now.

    Its unit names the matrix by content, or else rank 0 loses ‖W‖² = Σσ² of the stored spectrum.
    """
    key = row["matrix_key"]
    if spectrum is None or (isinstance(key, str) and key and key in str(row["inputs"])):
        return True
    energy = float(np.square(spectrum.values).sum())
    return bool(abs(float(row["plain"][0]) - energy) <= SAME * energy)
