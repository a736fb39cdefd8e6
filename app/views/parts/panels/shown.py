"""What a panel is given: one job's rows, and the means to read their arrays."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True, eq=False)
class Shown:
    """One job as its panel sees it."""

    client: Any
    declared: Mapping[str, Any]  # the analysis in the catalogue; {} when it is gone
    job: Mapping[str, Any]
    rows: pd.DataFrame  # the measured rows; of a running job those that there are
    array: Callable[[Any], np.ndarray]  # an array's cell to its numbers
    running: bool = False

    @property
    def columns(self) -> dict[str, Mapping[str, Any]]:
        """The declared columns by name."""
        return {column["name"]: column for column in self.declared.get("columns", [])}
