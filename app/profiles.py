"""A model's profile as pages want it: one row a layer, and what it can be coloured by."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from app.plots import metric
from app.plots.metric import Metric


def of(store: Any, model: str) -> pd.DataFrame:
    """Return the profile with text where the store has no text."""
    profile: pd.DataFrame = store.profile(model)
    for name in ("module", "view", "message", "matrix_key", "status"):
        profile[name] = profile[name].fillna("")
    return profile


def metrics(catalog: Mapping[str, Any], profile: pd.DataFrame) -> dict[str, Metric]:
    """Return what the profile can be coloured by: the spectrum's columns, then WeLore's."""
    analyses = catalog["analyses"]
    declared = list(analyses.get("spectrum", {}).get("columns", []))
    declared += [
        {
            **column,
            "name": f"welore_{column['name']}",
            "title": f"WeLore {column.get('title', column['name'])}",
        }
        for column in analyses.get("welore", {}).get("columns", [])
        if not column["name"].startswith("model_")  # the same number on every layer
    ]
    return metric.metrics(declared, profile.columns[profile.notna().any()])
