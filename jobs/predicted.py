"""The work of a job on single matrices or on spectra, in words, from what the store lists."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from jobs import layers, text

VIEWS = ("heads", "slices")  # parameters that ask for parts of layers


def of_matrices(
    tensors: pd.DataFrame, declared: Mapping[str, Any], params: Mapping[str, Any], patterns: str
) -> dict[str, Any]:
    """Return words, bytes (0: one matrix at a time), seconds (not known) and refused.

    With views the names of heads and slices count too; only the job knows those.
    """
    matrices = tensors[tensors["state"] == "matrix"]
    entries_of = matrices.groupby("layer")["parameters"].sum()
    matrices = matrices.drop_duplicates("layer")  # an adapter stores two tensors for each
    names = matrices["layer"].astype(str)
    matched = matrices[[layers.matches(name, patterns) for name in names]]
    if matrices.empty:
        return said(refused="This model has no weight matrix to analyse.")
    if matched.empty and any(params.get(name) for name in VIEWS):
        return said(f"The heads or slices named {patterns}, if the model has them.")
    if matched.empty:
        return said(refused=f"No layer is named {patterns}: see the names on Models.")
    entries = text.count(entries_of[list(matched["layer"])].sum())
    what = f"{len(matched)} of {len(matrices)} matrices, {entries} entries"
    if declared["unit"] == "spectra":
        return said(
            f"Reads the stored spectra of {what}; those that are missing are computed first."
        )
    return said(f"{what}: one decomposition each, fewer where views or results are shared.")


def said(words: str = "", *, refused: str = "") -> dict[str, Any]:
    """Return a prediction of neither memory nor time: words, or why it cannot be done at all."""
    return {"words": words, "bytes": 0, "seconds": None, "refused": refused}
