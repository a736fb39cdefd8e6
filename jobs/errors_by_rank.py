"""Squared errors of many layers at any ranks, looked up at once."""

from collections.abc import Mapping, Sequence

import numpy as np

from analysis.compress.allocation import objectives
from analysis.compress.allocation.allocate import Allocation
from analysis.compress.allocation.curves import Layer
from analysis.compress.allocation.hand_set import HandSet
from analysis.compress.allocation.together import Together
from jobs.calibrated import COLUMNS, Calibrated

Chosen = Allocation | HandSet


class ErrorsByRank:
    """The errors of L layers by column; only `plain` is known of spectra alone."""

    def __init__(
        self, columns: Mapping[str, Sequence[np.ndarray]], together: Together | None = None
    ) -> None:
        lengths = [len(curve) for curve in columns["plain"]]
        self._start = np.cumsum([0, *lengths])[:-1].astype(np.int64)
        self._flat = {name: np.concatenate([np.empty(0), *c]) for name, c in columns.items()}
        self._together = together

    @classmethod
    def of_spectra(cls, layers: Sequence[Layer]) -> "ErrorsByRank":
        """Return Σ_{i>k} σᵢ² at k = 0, ..., K, summed from the smallest up."""
        squares = (np.square(layer.values[::-1]) for layer in layers)
        return cls({"plain": [np.append(np.cumsum(each)[::-1], 0.0) for each in squares]})

    @classmethod
    def of_method(cls, found: Calibrated) -> "ErrorsByRank":
        """Return what was measured of every layer."""
        rows = list(found.rows.values())
        known = [name for name in COLUMNS if all(len(row[name]) for row in rows)]
        together = None
        if "expected" in known:
            together = Together([row["expected"] for row in rows], found.directions)
        return cls({name: [row[name] for row in rows] for name in known}, together)

    def knows(self, column: str) -> bool:
        """Say whether every layer has this column."""
        return column in self._flat

    def lost(self, column: str, found: Chosen) -> np.ndarray:
        """Return the error of each layer at its rank (L,), 0 where it is dense."""
        lost: np.ndarray = self._flat[column][self._start + found.rank]
        return np.where(found.dense, 0.0, lost)

    def whole(self, column: str) -> np.ndarray:
        """Return the error of each layer at rank 0 (L,)."""
        found: np.ndarray = self._flat[column][self._start]
        return found

    def share(self, column: str, found: Chosen) -> np.ndarray:
        """Return the error as a share of that at rank 0, 0 where nothing is lost there."""
        lost, whole = self.lost(column, found), self.whole(column)
        return np.divide(lost, whole, out=np.zeros_like(lost), where=whole > 0)

    def error(self, objective: str, found: Chosen) -> float:
        """Return √(1 - E) with E the share of the objective that is kept."""
        column, _ = objectives.FIELDS[objective]
        whole = float(found.weight.sum())
        return float(np.sqrt(found.weight @ self.share(column, found) / whole)) if whole else 0.0

    def nats(self, found: Chosen) -> float | None:
        """Return the predicted change of loss per token, None where it is not known."""
        return float(self.predicted(found).sum()) if self._together else None

    def all_nats(self, found: Sequence[Chosen]) -> np.ndarray:
        """Return `nats` of many points at once."""
        if self._together is None:
            raise ValueError("expected curves of the expected loss, got none")
        slopes = self.knows("first_order")
        along = [self.lost("first_order", each).sum() if slopes else 0.0 for each in found]
        total: np.ndarray = self._together.totals([(e.rank, e.dense) for e in found]) + along
        return total

    def predicted(self, found: Chosen) -> np.ndarray:
        """Return what each layer adds to the predicted change of loss (L,): curvature and slope.

        The curvature is of all layers together, shared out: see `together`.
        """
        if self._together is None:
            raise ValueError("expected curves of the expected loss, got none")
        slope = self.lost("first_order", found) if self.knows("first_order") else 0.0
        total: np.ndarray = self._together.shares(found.rank, found.dense) + slope
        return total
