"""What a model would hold and lose at any size, from its stored spectra alone: no job, no torch.

Ranks come from `analysis/compress/allocate.py`, which sorts once for each rule, form and objective;
after that any size is a look-up. Only linear layers take part, and those of them without a stored
spectrum stay dense: they count in every total, and in no error.
"""

import itertools
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd

from analysis.compress.allocate import RULES as ALLOCATIONS
from analysis.compress.allocate import Allocation, Allocator, exactly
from analysis.compress.curves import OBJECTIVES, Curves
from analysis.compress.storage import FORMS, index_bytes
from jobs.errors import JobError
from jobs.linear_layers import LinearLayers

__all__ = ["ALLOCATIONS", "FORMS", "OBJECTIVES", "Point", "Tradeoffs"]

HALVING = 0.9  # of the size: from here on uniform ranks in two factors lose far more than size
SIZES = np.round(np.append(np.arange(0.05, 1, 0.025), [0.99, 1.0]), 3)
TOTAL = (
    "Total energy buys the layers of large norm first and can lose to uniform badly in "
    "perplexity: prefer each layer's own energy unless you know why."
)


@dataclass(frozen=True, eq=False)
class Point:
    """One size under one allocation. `layers` has a row for each linear layer.

    Its columns: layer, block, module, view, kind, rows, cols, full, rank, dense, before, after (in
    numbers), bytes, error (‖W - W'‖/‖W‖), reason; rank and error are missing without a spectrum.
    """

    kept: float
    parameters: int  # of the linear layers
    of_parameters: int  # of the dense ones
    model_parameters: int
    of_model_parameters: int
    bytes: int
    of_bytes: int
    error: float  # √(1 - E) of the objective's energy E
    threshold: float | None  # η or τ
    layers: pd.DataFrame
    warnings: tuple[str, ...]

    @property
    def energy(self) -> float:
        """The share E of the objective's energy that is kept."""
        return 1.0 - self.error**2

    @property
    def left_dense(self) -> int:
        """How many linear layers stay dense."""
        return int(self.layers["dense"].sum())


class Tradeoffs:
    """Ask `at` and `curve` for any size; what is sorted for one answer is kept for the next."""

    def __init__(self, stored: LinearLayers) -> None:
        self.layers = stored.table
        self.known = stored.table["layer"].isin(list(stored.spectra)).to_numpy()
        self.missing = list(stored.table["layer"][~self.known])
        self.has_noise = bool(stored.noise)
        self._stored = stored
        self._before = (stored.table["rows"] * stored.table["cols"]).to_numpy(np.int64)
        self._itemsize = stored.table["itemsize"].to_numpy(np.int64)
        self._curves: dict[str, Curves] = {}
        self._allocators: dict[tuple[str, str], Allocator] = {}
        self._errors: dict[tuple[str, str, str, bool], np.ndarray] = {}

    @classmethod
    def load(cls, store: Any, model: str) -> "Tradeoffs":
        """Read what is stored of a model. Raises JobError where there is nothing to trade."""
        return cls(LinearLayers.load(store, model))

    @property
    def of_parameters(self) -> int:
        """The numbers of all dense linear layers."""
        return int(self._before.sum())

    @property
    def least(self) -> float:
        """The smallest share that can be kept: what the layers without a spectrum hold."""
        return float(self._before[~self.known].sum() / self.of_parameters)

    def at(self, kept: float, allocation: str, form: str, objective: str) -> Point:
        """Return what keeping at most this share of the linear layers' parameters comes to.

        Raises JobError for a share that the layers without a spectrum alone exceed.
        """
        found = self._found(kept, allocation, form, objective)
        after, size = self._held(found)
        model = self._stored.model
        return Point(
            kept=kept,
            parameters=int(after.sum()),
            of_parameters=self.of_parameters,
            model_parameters=int(model["parameters"]) - self.of_parameters + int(after.sum()),
            of_model_parameters=int(model["parameters"]),
            bytes=self._bytes(size),
            of_bytes=int(model["bytes"]),
            error=found.error,
            threshold=found.threshold,
            layers=self._table(found, after, size),
            warnings=tuple(self._warnings(kept, allocation, objective, found)),
        )

    def curve(
        self, allocation: str, form: str, objective: str, *, noise: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return shares kept, and the relative error at each; of noise of the same shapes."""
        sizes = SIZES[self.least <= SIZES]
        key = allocation, form, objective, noise
        if key not in self._errors:
            # Noise is asked for once: what was sorted for it is not kept.
            allocator = (
                Allocator(Curves.of(list(self._stored.noise.values()), form), objective)
                if noise
                else self._allocator(form, objective)
            )
            self._errors[key] = np.array([
                allocator.allocate(allocation, self._share(float(size))).error for size in sizes
            ])  # fmt: skip
        return sizes, self._errors[key]

    def compare(self, kept: float, objective: str) -> pd.DataFrame:
        """Return what every allocation comes to in every form at one size.

        Columns: allocation, form, parameters, bytes, error, left_dense.
        """
        rows = []
        for allocation, form in itertools.product(ALLOCATIONS, FORMS):
            found = self._found(kept, allocation, form, objective)
            after, size = self._held(found)
            rows.append({
                "allocation": allocation, "form": form, "parameters": int(after.sum()),
                "bytes": self._bytes(size), "error": found.error,
                "left_dense": int(found.dense.sum()) + len(self.missing),
            })  # fmt: skip
        return pd.DataFrame(rows)

    def _found(self, kept: float, allocation: str, form: str, objective: str) -> Allocation:
        return self._allocator(form, objective).allocate(allocation, self._share(kept))

    def _share(self, kept: float) -> Fraction:
        """Return the share of the layers with a spectrum that leaves `kept` of all of them."""
        fixed = int(self._before[~self.known].sum())
        budget = int(exactly(kept) * self.of_parameters) - fixed
        if budget < 0:
            raise JobError(
                f"{kept:.1%} cannot be reached: linear layers without a spectrum stay dense, and "
                f"those {len(self.missing)} hold {self.least:.1%} of the parameters"
            )
        known = self.of_parameters - fixed
        return Fraction(budget, known) if known else Fraction(1)

    def _allocator(self, form: str, objective: str) -> Allocator:
        if form not in self._curves:
            self._curves[form] = Curves.of(list(self._stored.spectra.values()), form)
        if (form, objective) not in self._allocators:
            self._allocators[form, objective] = Allocator(self._curves[form], objective)
        return self._allocators[form, objective]

    def _held(self, found: Allocation) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers and the bytes of every linear layer."""
        after, indices = self._before.copy(), np.zeros_like(self._before)
        after[self.known] = found.numbers
        indices[self.known] = index_bytes(found.rank, found.dense, found.curves.form)
        return after, after * self._itemsize + indices

    def _bytes(self, size: np.ndarray) -> int:
        """Return the bytes of the model when its linear layers have these."""
        dense = self._before * self._itemsize
        return int(self._stored.model["bytes"]) - int(dense.sum()) + int(size.sum())

    def _table(self, found: Allocation, after: np.ndarray, size: np.ndarray) -> pd.DataFrame:
        """Return one row per linear layer; one without a spectrum is dense."""
        table = self.layers.drop(columns="itemsize")
        full = table[["rows", "cols"]].min(axis=1).to_numpy()
        rank, error = (np.full(len(table), np.nan) for _ in range(2))
        dense = ~self.known
        rank[self.known], error[self.known] = found.rank, np.sqrt(found.lost)
        dense[self.known] = found.dense
        return table.assign(
            full=full, rank=pd.array(rank, dtype="Int64"), dense=dense, before=self._before,
            after=after, bytes=size, error=error, reason=self._reasons(found),
        )  # fmt: skip

    def _reasons(self, found: Allocation) -> list[str]:
        """Return why each layer is dense or gone, "" for the others."""
        reasons = np.full(len(self.layers), "dense: no spectrum is stored", dtype=object)
        energy = found.curves.energy
        most = found.curves.dense - found.curves.start - 1
        reasons[self.known] = [
            _reason(dense, rank, most=most, zero=zero, form=found.curves.form)
            for dense, rank, most, zero in zip(
                found.dense, found.rank, most, energy == 0, strict=True
            )
        ]
        return list(reasons)

    def _warnings(
        self, kept: float, allocation: str, objective: str, found: Allocation
    ) -> list[str]:
        said = []
        if self.missing:
            said.append(
                f"Linear layers without a stored spectrum: {len(self.missing)} of "
                f"{len(self.layers)}. They are counted dense, and are in no error: "
                + ", ".join(self.missing)
            )
        halving = allocation == "uniform" and found.curves.form == "two_factor"
        if halving and kept >= HALVING and not found.dense.all():
            share = float((found.rank / found.curves.full)[~found.dense].min())
            said.append(
                f"Keeping {kept:.0%} of the size of each layer in two factors keeps as little as "
                f"{share:.0%} of its rank: near full size a layer had better stay dense."
            )
        if objective == "total":
            said.append(TOTAL)
        gone = int(((found.rank == 0) & (found.curves.energy > 0)).sum())
        if gone:
            said.append(f"Layers that keep no direction: {gone}. Only their bias would be left.")
        return said


def _reason(dense: bool, rank: int, *, most: int, zero: bool, form: str) -> str:
    if dense and form == "two_factor":
        return f"dense: factors save up to rank {most}"
    if dense:
        return "dense: all is kept"
    if rank == 0:
        return "every entry is zero" if zero else "keeps no direction"
    return ""
