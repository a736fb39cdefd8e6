"""One size of a model: what it holds, what it loses, and the rank that each layer then has."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True, eq=False)
class Point:
    """One size under one allocation. `layers` has a row for each linear layer.

    Its columns: layer, block, module, view, kind, rows, cols, full, rank, dense, before, after (in
    numbers), bytes, error (‖W - W'‖/‖W‖), nats (predicted change of loss), reason; rank, error and
    nats are missing where nothing is known.
    """

    kept: float
    parameters: int  # of the linear layers
    of_parameters: int  # of the dense ones
    model_parameters: int
    of_model_parameters: int
    bytes: int
    of_bytes: int
    error: float  # √(1 - E) of the objective's energy E
    nats: float | None  # predicted change of loss per token; None without a calibration
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

    @property
    def ranks(self) -> dict[str, int]:
        """The ranks of the layers that do not stay dense."""
        low = self.layers[~self.layers["dense"]]
        return {row.layer: int(row.rank) for row in low.itertuples()}
