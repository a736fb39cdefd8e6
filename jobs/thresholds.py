"""What another WeLore threshold would do, from stored spectra: no job, no torch.

The rules are the analysis' own (`analysis/welore.py`), so that a page and a job cannot disagree.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.numerics.break_even import dense_because
from analysis.numerics.global_threshold import normalised, pruned

LRC, N_LRC = "LRC", "N-LRC"


def scaled_spectra(store: Any, model: str, layers: list[str]) -> pd.DataFrame:
    """Return layer, rows, cols and s̃ of the named layers whose spectra are stored."""
    labels = store.labels(model)
    labels = labels[labels["layer"].isin(layers) & labels["matrix_key"].notna()]
    stored = store.spectra(list(labels["matrix_key"])).set_index("key")
    kept = labels[labels["matrix_key"].isin(stored.index)]
    scaled = [
        normalised(np.asarray(stored.loc[key, "s"]), float(stored.loc[key, "noise_floor"]))
        for key in kept["matrix_key"]
    ]
    return kept[["layer", "rows", "cols"]].assign(scaled=scaled).reset_index(drop=True)


def classified(found: pd.DataFrame, threshold: float, params: Mapping[str, Any]) -> pd.DataFrame:
    """Return, for each layer, what it loses at a threshold, its class and its parameters.

    Columns: layer, pruned, rank, reduction, classification, reason, parameters,
    applied_parameters. `params` are those of the analysis: cutoff, allow_above_break_even.
    """
    rows = []
    for layer in found.itertuples():
        shape = int(layer.rows), int(layer.cols)
        count, full = pruned(layer.scaled, threshold), min(shape)
        reason = dense_because(
            shape,
            count,
            cutoff=float(params["cutoff"]),
            allow_above_break_even=bool(params["allow_above_break_even"]),
        )
        dense = shape[0] * shape[1]
        rows.append({
            "layer": layer.layer,
            "pruned": count,
            "rank": full - count,
            "reduction": count / full,
            "classification": N_LRC if reason else LRC,
            "reason": reason,
            "parameters": dense,
            "applied_parameters": dense if reason else (full - count) * sum(shape),
        })  # fmt: skip
    return pd.DataFrame(rows)
