"""What is said of a point of the trade-offs: why a layer is dense, and what to beware of."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.compress.allocation.objectives import RELIABLE
from analysis.compress.allocation.storage import costs

OBJECTIVES = {  # as in `analysis/compress/allocation/objectives.py`
    "expected": "predicted loss, in nats",
    "whitened": "whitened error, of each layer's own",
    "relative": "energy, of each layer's own",
    "total": "energy, of all layers' total",
}
HALVING = 0.9  # of the size: from here on uniform ranks in two factors lose far more than size
TOTAL = (
    "Total energy buys the layers of large norm first and can lose to uniform badly in "
    "perplexity: prefer each layer's own energy unless you know why."
)


def reasons(
    table: pd.DataFrame, form: str, energy: np.ndarray, *, by_hand: bool, without: str
) -> list[str]:
    """Return why each layer is dense or gone, "" for the others.

    `table` has rows, cols, rank (missing where nothing is known) and dense; `energy` is what each
    layer can lose; `without` says what an unknown layer lacks.
    """
    said = []
    for row, own in zip(table.to_dict("records"), energy, strict=True):
        if pd.isna(row["rank"]):
            said.append(without)
        elif not row["dense"]:
            zero = "every entry is zero" if own == 0 else "keeps no direction"
            said.append(zero if row["rank"] == 0 else "")
        elif by_hand:
            said.append("dense: no rank is set")
        elif form == "two_factor":
            most = len(costs(row["rows"], row["cols"], form)) - 2
            said.append(f"dense: factors save up to rank {most}")
        else:
            said.append("dense: all is kept")
    return said


def warnings(
    table: pd.DataFrame, form: str, energy: np.ndarray, *, kept: float | None, allocation: str,
    objective: str,
) -> list[str]:  # fmt: skip
    """Return what to beware of; `kept` is the size asked for, None where ranks were set by hand."""
    said = []
    ranked = table[table["rank"].notna() & ~table["dense"]]
    uniform = allocation == "uniform" and form == "two_factor"
    if uniform and kept is not None and kept >= HALVING and not ranked.empty:
        share = float((ranked["rank"] / ranked["full"]).min())
        said.append(
            f"Keeping {kept:.0%} of the size of each layer in two factors keeps as little as "
            f"{share:.0%} of its rank: near full size a layer had better stay dense."
        )
    if objective == "total" and kept is not None:
        said.append(TOTAL)
    rank = table["rank"].to_numpy("int64", na_value=-1)
    gone = int(((rank == 0) & ~table["dense"].to_numpy() & (energy > 0)).sum())
    if gone:
        said.append(f"Layers that keep no direction: {gone}. Only their bias would be left.")
    larger = list(ranked["layer"][ranked["after"] > ranked["before"]])
    if larger:
        said.append(f"Larger than dense at the rank that is set: {', '.join(larger)}.")
    return said


def unreliable(nats: float | None) -> list[str]:
    """Return that a predicted change of loss says little, where it is large."""
    if nats is None or nats <= RELIABLE:
        return []
    return [
        f"The predicted change of loss is not reliable above {RELIABLE:g} nats: here it only says "
        "that much is lost. A trial measures it."
    ]


def alone(layers: Sequence[str]) -> list[str]:
    """Return which layers are added up alone, where the others are added up together."""
    if not layers:
        return []
    return [
        f"Predicted alone, not together with the others: {', '.join(layers)}. Their rows are not "
        "tokens (experts), or they were calibrated by an earlier version: calibrate again."
    ]


def left_dense(layers: Sequence[str], of: int, what: str) -> list[str]:
    """Return which layers take no part for want of a spectrum, or of a curve."""
    if not layers:
        return []
    return [
        f"Linear layers without {what}: {len(layers)} of {of}. They are counted dense, and are in "
        f"no error: {', '.join(layers)}"
    ]
