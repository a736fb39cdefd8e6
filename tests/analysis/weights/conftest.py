import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

os.environ["HF_HUB_OFFLINE"] = "1"  # no test asks the network

from analysis.weights import MatrixRef, load
from tests.analysis.weights import families


@pytest.fixture(scope="session")
def family(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Any]]:
    """Return a family's folder and model, saved once a session."""
    kept: dict[str, tuple[Path, Any]] = {}

    def get(name: str) -> tuple[Path, Any]:
        if name not in kept:
            folder = tmp_path_factory.mktemp(name)
            kept[name] = folder, families.saved(name, folder)
        return kept[name]

    return get


@pytest.fixture
def dense() -> Callable[[MatrixRef], Tensor]:
    """Read a whole matrix, in two blocks."""

    def read(ref: MatrixRef) -> Tensor:
        rows = load(ref)
        middle = rows.shape[0] // 2
        return torch.cat([rows.rows(0, middle), rows.rows(middle, rows.shape[0])])

    return read
