"""What the store knows of a layer, as the plots want it."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from app import quantities
from app.plots.decay import Curve
from app.plots.density import Bulk, PowerLaw

POINTS = 256


def curves(store: Any, layers: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Curve]:
    """Return the decay of each (name, row of the profile) whose spectrum is stored."""
    wanted = [(name, row) for name, row in layers if row["matrix_key"]]
    found = _decays(store, [row["matrix_key"] for _, row in wanted])
    return [
        Curve(name, *found[row["matrix_key"]], full=_full(row))
        for name, row in wanted
        if row["matrix_key"] in found
    ]


def baselines(
    store: Any, row: Mapping[str, Any], wanted: Iterable[str], seed: int, norm: float
) -> dict[str, Curve]:
    """Return the shuffled and the Gaussian baseline of a layer, where they are stored.

    The stored noise has variance 1 / max(m, n); it is scaled to the layer's Frobenius norm.
    """
    keys = {
        "shuffled": f"shuffled-{row['matrix_key']}-seed{seed}",
        "noise": f"noise-{int(row['rows'])}x{int(row['cols'])}-seed{seed}",
    }
    keys = {role: key for role, key in keys.items() if role in wanted}
    found = _decays(store, list(keys.values()))
    full = _full(row)
    scale = {"shuffled": 1.0, "noise": norm / np.sqrt(full)}
    return {
        role: Curve(role, found[key][0], found[key][1] * scale[role], full)
        for role, key in keys.items()
        if key in found
    }


def singular_values(store: Any, row: Mapping[str, Any]) -> np.ndarray:
    """Return all singular values of a layer, descending; empty where none are stored."""
    table = store.spectra([row["matrix_key"]])
    return np.asarray(table["s"].iloc[0], float) if len(table) else np.empty(0)


def energy_rank(singular: np.ndarray, share: float) -> int:
    """Return the fewest directions that carry a share of the energy: sum s_i^2 >= share * all."""
    energy = np.cumsum(singular**2)
    if not energy.size or energy[-1] == 0:
        return 0
    return int(np.searchsorted(energy, share * energy[-1] * (1 - 1e-12)) + 1)


def power_law(row: Mapping[str, Any]) -> PowerLaw | None:
    """Return the fitted tail of a layer's eigenvalues, if the fit stood."""
    needed = ("alpha", "alpha_xmin", "alpha_points")
    if not all(quantities.known(row.get(name)) for name in needed):
        return None
    return PowerLaw(float(row["alpha"]), float(row["alpha_xmin"]), int(row["alpha_points"]))


def bulk(row: Mapping[str, Any]) -> Bulk | None:
    """Return the Marchenko-Pastur law of a layer, if its edge could be estimated."""
    if not quantities.known(row.get("mp_edge")):
        return None
    return Bulk(float(row["mp_edge"]) ** 2, _full(row) / max(row["rows"], row["cols"]))


def seed_of(job: pd.DataFrame) -> int:
    """Return the seed a spectrum job drew its baselines with."""
    params = params_of(job.iloc[0]) if len(job) else {}
    return int(params.get("seed", 0))


def params_of(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a job was asked for."""
    found: dict[str, Any] = json.loads(job["params"] or "{}")
    return found


def _decays(store: Any, keys: list[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    if not keys:
        return {}
    table = store.decays(keys, points=POINTS).sort_values(["key", "index"])
    return {
        str(key): (group["index"].to_numpy(float), group["value"].to_numpy(float))
        for key, group in table.groupby("key", sort=False)
    }


def _full(row: Mapping[str, Any]) -> int:
    return int(min(row["rows"], row["cols"]))
