"""What a model would hold and lose at any size, from what is stored of it: no job, no torch.

Without a calibration that is the spectra, which say what the weights lose. With one it is what a
method was measured to lose at every rank, and the change of loss that this predicts, in nats per
token: the slope along each layer's change, and the curvature along all of them together.

Ranks come from `analysis/compress/allocation/`, which sorts once for each rule, form and objective;
after that any size is a look-up. Only linear layers take part, and those of them without a spectrum
or a curve stay dense: they count in every total, and in no error.
"""

import itertools
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd

from analysis.compress.allocation import objectives
from analysis.compress.allocation.allocate import RULES as ALLOCATIONS
from analysis.compress.allocation.allocate import Allocation, Allocator, exactly
from analysis.compress.allocation.curves import Curves, Losses
from analysis.compress.allocation.hand_set import at_ranks, held
from analysis.compress.allocation.storage import FORMS, index_bytes
from jobs import tradeoff_words as words
from jobs.calibrated import Calibrated, Read
from jobs.errors import JobError
from jobs.errors_by_rank import Chosen, ErrorsByRank
from jobs.linear_layers import LinearLayers
from jobs.tradeoff_point import Point
from jobs.tradeoff_words import OBJECTIVES

__all__ = ["ALLOCATIONS", "FORMS", "OBJECTIVES", "Point", "Tradeoffs"]

SIZES = np.round(np.append(np.arange(0.05, 1, 0.025), [0.99, 1.0]), 3)
BY_HAND = "by hand"


class Tradeoffs:
    """Ask `at` and `curve` for any size; what is sorted for one answer is kept for the next."""

    def __init__(self, stored: LinearLayers, calibrated: Calibrated | None = None) -> None:
        self.layers = stored.table
        self.method = calibrated.method if calibrated else ""
        self.replaced = calibrated.replaced if calibrated else ()
        self._names = list(calibrated.rows if calibrated else stored.spectra)
        self.known = stored.table["layer"].isin(self._names).to_numpy()
        self.missing = list(stored.table["layer"][~self.known])
        self.has_noise = bool(stored.noise) and calibrated is None
        self.objectives = calibrated.objectives if calibrated else ["relative", "total"]
        self._stored, self._calibrated = stored, calibrated
        self._before = (stored.table["rows"] * stored.table["cols"]).to_numpy(np.int64)
        self._itemsize = stored.table["itemsize"].to_numpy(np.int64)
        self._lost = (
            ErrorsByRank.of_method(calibrated)
            if calibrated
            else ErrorsByRank.of_spectra(list(stored.spectra.values()))
        )
        self._curves: dict[tuple[str, str], Curves] = {}
        self._allocators: dict[tuple[str, str], Allocator] = {}
        self._drawn: dict[tuple[str, str, str, bool], np.ndarray] = {}

    @classmethod
    def load(
        cls, store: Any, model: str, method: str = "", array: Read | None = None
    ) -> "Tradeoffs":
        """Read what is stored of a model, of a method's calibration or, without, its spectra.

        `array` reads the arrays of a calibration's rows. Raises JobError where there is nothing to
        trade, and where a file is gone.
        """
        stored = LinearLayers.load(store, model)
        known = Calibrated.load(store, model, method, stored, array) if method else None
        return cls(stored, known)

    @property
    def of_parameters(self) -> int:
        """The numbers of all dense linear layers."""
        return int(self._before.sum())

    @property
    def least(self) -> float:
        """The smallest share that can be kept: what the layers of which nothing is known hold."""
        return float(self._before[~self.known].sum() / self.of_parameters)

    @property
    def predicts(self) -> bool:
        """Whether a change of loss is predicted."""
        return self._lost.knows("expected")

    def at(self, kept: float, allocation: str, form: str, objective: str) -> Point:
        """Return what keeping at most this share of the linear layers' parameters comes to.

        Raises JobError for a share that the layers that have to stay dense alone exceed, and for an
        objective of which nothing is known.
        """
        found = self._found(kept, allocation, form, objective)
        return self._point(found, objective, kept, allocation)

    def by_hand(self, ranks: Mapping[str, int], form: str, objective: str) -> Point:
        """Return what these ranks come to; layers that are not named stay dense.

        Raises JobError for a rank that cannot be, or of a layer of which nothing is known.
        """
        allocator = self._allocator(form, objective)
        try:
            found = at_ranks(allocator.curves, self._names, ranks, allocator.weight)
        except ValueError as error:
            raise JobError(f"ranks by hand: {error}") from None
        return self._point(found, objective, None, BY_HAND)

    def curve(
        self, allocation: str, form: str, objective: str, *, noise: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return shares kept, and what is lost at each: nats if they are known, or else the error.

        With `noise`, the error of noise of the same shapes.
        """
        sizes = SIZES[self.least <= SIZES]
        key = allocation, form, objective, noise
        if key not in self._drawn:
            values = self._of_noise(*key[:3], sizes) if noise else self._of_sizes(*key[:3], sizes)
            self._drawn[key] = np.array(values)
        return sizes, self._drawn[key]

    def compare(self, kept: float, objective: str) -> pd.DataFrame:
        """Return what every allocation comes to in every form at one size.

        Columns: allocation, form, parameters, bytes, error, nats, left_dense.
        """
        rows = []
        for allocation, form in itertools.product(ALLOCATIONS, FORMS):
            found = self._found(kept, allocation, form, objective)
            after, size = self._held(found)
            rows.append({
                "allocation": allocation, "form": form, "parameters": int(after.sum()),
                "bytes": self._bytes(size), "error": self._lost.error(objective, found),
                "nats": self._lost.nats(found),
                "left_dense": int(found.dense.sum()) + len(self.missing),
            })  # fmt: skip
        return pd.DataFrame(rows)

    def _of_sizes(
        self, allocation: str, form: str, objective: str, sizes: np.ndarray
    ) -> list[float]:
        found = [self._found(float(size), allocation, form, objective) for size in sizes]
        if self.predicts:
            return list(self._lost.all_nats(found))
        return [self._lost.error(objective, each) for each in found]

    def _of_noise(
        self, allocation: str, form: str, objective: str, sizes: np.ndarray
    ) -> list[float]:
        # Asked for once: what was sorted for it is not kept.
        allocator = Allocator(Curves.of(list(self._stored.noise.values()), form), objective)
        shares = (self._share(float(size)) for size in sizes)
        return [allocator.allocate(allocation, share).error for share in shares]

    def _found(self, kept: float, allocation: str, form: str, objective: str) -> Allocation:
        return self._allocator(form, objective).allocate(allocation, self._share(kept))

    def _share(self, kept: float) -> Fraction:
        """Return the share of the layers that are known that leaves `kept` of all of them."""
        fixed = int(self._before[~self.known].sum())
        budget = int(exactly(kept) * self.of_parameters) - fixed
        if budget < 0:
            raise JobError(
                f"{kept:.1%} cannot be reached: linear layers without {self._what} stay dense, and "
                f"those {len(self.missing)} hold {self.least:.1%} of the parameters"
            )
        known = self.of_parameters - fixed
        return Fraction(budget, known) if known else Fraction(1)

    def _allocator(self, form: str, objective: str) -> Allocator:
        if objective not in self.objectives:
            raise JobError(
                f"{OBJECTIVES.get(objective, objective)} is not known here: choose of "
                f"{', '.join(self.objectives)}, or calibrate the model"
            )
        column, weighing = objectives.FIELDS[objective]
        if (form, column) not in self._curves:
            self._curves[form, column] = self._made(form, column)
        if (form, objective) not in self._allocators:
            self._allocators[form, objective] = Allocator(self._curves[form, column], weighing)
        return self._allocators[form, objective]

    def _made(self, form: str, column: str) -> Curves:
        if self._calibrated is None:
            return Curves.of(list(self._stored.spectra.values()), form)
        rows = self._calibrated.rows.values()
        losses = [Losses(int(row["rows"]), int(row["cols"]), row[column]) for row in rows]
        return Curves.of_losses(losses, form)

    def _held(self, found: Chosen) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers and the bytes of every linear layer."""
        after, indices = self._before.copy(), np.zeros_like(self._before)
        after[self.known] = np.where(
            found.dense, self._before[self.known], held(found.curves, found.rank)
        )
        indices[self.known] = index_bytes(found.rank, found.dense, found.curves.form)
        return after, after * self._itemsize + indices

    def _bytes(self, size: np.ndarray) -> int:
        """Return the bytes of the model when its linear layers have these."""
        dense = self._before * self._itemsize
        return int(self._stored.model["bytes"]) - int(dense.sum()) + int(size.sum())

    def _point(self, found: Chosen, objective: str, kept: float | None, allocation: str) -> Point:
        after, size = self._held(found)
        model, form = self._stored.model, found.curves.form
        table, energy = self._table(found, after, size), self._energy()
        by_hand, nats = kept is None, self._lost.nats(found)
        said = [
            *words.left_dense(self.missing, len(self.layers), self._what),
            *words.unreliable(nats),
            *words.alone(self._calibrated.alone if self._calibrated else []),
            *words.warnings(
                table, form, energy, kept=kept, allocation=allocation, objective=objective
            ),
        ]
        without = (
            f"dense: no curve of {self.method}" if self.method else "dense: no spectrum is stored"
        )
        reasons = words.reasons(table, form, energy, by_hand=by_hand, without=without)
        return Point(
            kept=int(after.sum()) / self.of_parameters if kept is None else kept,
            parameters=int(after.sum()),
            of_parameters=self.of_parameters,
            model_parameters=int(model["parameters"]) - self.of_parameters + int(after.sum()),
            of_model_parameters=int(model["parameters"]),
            bytes=self._bytes(size),
            of_bytes=int(model["bytes"]),
            error=self._lost.error(objective, found),
            nats=nats,
            threshold=found.threshold,
            layers=table.assign(reason=reasons),
            warnings=tuple(said),
        )

    @property
    def _what(self) -> str:
        return f"a curve of {self.method}" if self.method else "a stored spectrum"

    def _energy(self) -> np.ndarray:
        """Return what each linear layer can lose of ‖W‖², 0 where nothing is known."""
        energy = np.zeros(len(self.layers))
        energy[self.known] = self._lost.whole("plain")
        return energy

    def _table(self, found: Chosen, after: np.ndarray, size: np.ndarray) -> pd.DataFrame:
        """Return one row per linear layer; one of which nothing is known is dense."""
        table = self.layers.drop(columns="itemsize")
        full = table[["rows", "cols"]].min(axis=1).to_numpy()
        rank, error, nats = (np.full(len(table), np.nan) for _ in range(3))
        dense = ~self.known
        rank[self.known] = found.rank
        error[self.known] = np.sqrt(self._lost.share("plain", found))
        if self.predicts:
            nats[self.known] = self._lost.predicted(found)
        dense[self.known] = found.dense
        return table.assign(
            full=full, rank=pd.array(rank, dtype="Int64"), dense=dense, before=self._before,
            after=after, bytes=size, error=error, nats=nats,
        )  # fmt: skip
