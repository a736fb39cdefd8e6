"""How the decision to switch stands, in words, and the rank each layer gets by it."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from app import quantities

NO_SAY = "no say"


@dataclass(frozen=True)
class Verdict:
    """How the decision stands, in words."""

    kind: Literal["few", "open", "switched"]
    words: str


def verdict(rows: pd.DataFrame, *, running: bool) -> Verdict:
    """Return whether there are too few checkpoints, layers that drift, or a switch."""
    now = _latest(rows)
    if now.empty:
        return Verdict("few", "No checkpoint is measured yet.")
    epoch = first(now, "model_switch_epoch")
    if quantities.known(epoch):
        return Verdict(
            "switched",
            f"All {int(first(now, 'model_layers'))} layers that have a say were stable: "
            f"training could go on with factors from epoch {int(epoch)} on.",
        )
    having = now[now["state"] != NO_SAY]
    drifting = having[having["state"] == "not converged"]
    if drifting.empty and not (having["state"] == "stable").any():
        needed, there = int(first(now, "ema_window")) + 1, int(first(now, "epoch")) + 1
        more = "" if running else " Lower the window w to decide on fewer."
        return Verdict(
            "few",
            f"Too few to decide: {there} of the {needed} checkpoints that are needed.{more}",
        )
    start = "Not converged yet" if running else "Did not converge"
    return Verdict("open", f"{start}: {_unstable(now)} layers are not stable{_most(drifting)}.")


def ranks(rows: pd.DataFrame) -> pd.DataFrame:
    """Return, by layer that has a say: its stable ranks, its rank, and what factors would hold.

    The rank is that of the switch, or of the last epoch before there is one; `parameters` is
    k(m + n)/mn.
    """
    now = _latest(rows)
    now = now[now["state"] != NO_SAY]
    begun = rows[pd.to_numeric(rows["stable_rank"]).notna()].sort_values("epoch", kind="stable")
    initial = begun.drop_duplicates("layer").set_index("layer")["stable_rank"]
    m, n, k = (pd.to_numeric(now[c]) for c in ("rows", "cols", _rank_column(rows)))
    share = k * (m + n) / (m * n)
    return pd.DataFrame(
        {
            "layer": now["layer"].astype(str),
            "shape": [quantities.shape(s) for s in zip(m, n, strict=True)],
            "first": pd.to_numeric(now["layer"].map(initial)),
            "now": pd.to_numeric(now["stable_rank"]),
            "xi": pd.to_numeric(now["scale"]),
            "rank": k,
            "full": np.minimum(m, n),
            "entries": m * n,
            "parameters": share,
            "saves": np.where(share < 1, "yes", np.where(share.isna(), "", "no")),
            "state": now["state"].astype(str),
        }
    )


def ranks_title(rows: pd.DataFrame) -> str:
    """Return what the table's ranks are."""
    epoch = first(_latest(rows), "model_switch_epoch")
    if quantities.known(epoch):
        return f"Rank each layer gets at the switch, epoch {int(epoch)}"
    return "Rank each layer would get if it switched now"


def kept(rows: pd.DataFrame) -> float | None:
    """Return the share of the layers' parameters left, where factors that gain nothing are not."""
    table = ranks(rows).dropna(subset=["parameters"])
    if table.empty:
        return None
    return float(
        (table["parameters"].clip(upper=1) * table["entries"]).sum() / table["entries"].sum()
    )


def spacing(rows: pd.DataFrame) -> str:
    """Return that the checkpoints are unevenly spaced, where they are."""
    least, most = first(rows, "least_steps"), first(rows, "most_steps")
    if not quantities.known(least) or least == most:
        return ""
    return (
        f"The checkpoints are {quantities.digits(least)} to {quantities.digits(most)} steps apart "
        "and each counts as one epoch: drift is per checkpoint, not per step, and E is a number "
        "of checkpoints. Set epoch steps to use only those that lie evenly."
    )


def setting(rows: pd.DataFrame) -> str:
    """Return the detector's parameters in words."""
    if rows.empty:
        return ""
    given = rows.iloc[0]
    relative = given["relative_threshold"]
    least = (
        f"{quantities.percent(relative)} of the smoothed value"
        if quantities.known(relative)
        else f"{given['base_threshold']:g}"
    )
    said = (
        f"Detector: average over w = {given['ema_window']} epochs, tail of {given['tail']}, "
        f"threshold {least} an epoch, times {given['scaling']:g} with {given['few']} layers left "
        f"and {2 * given['scaling']:g} with {given['last']}, on "
        f"{'whole stable ranks' if given['integer'] else 'stable ranks as measured'}"
    )
    if given["floor"]:
        said += f", ranks at least {quantities.percent(given['floor'])} of full"
    if given["leading"]:
        said += f", the first {given['leading']} layers left out"
    return f"{said}."


def _latest(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the last whole epoch."""
    whole = rows[pd.to_numeric(rows["epoch"]) % 1 == 0]
    return whole[whole["epoch"] == whole["epoch"].max()]


def timing(rows: pd.DataFrame) -> str:
    """Return what timing the layers as factors found, "" where they were not timed."""
    leading = first(rows, "model_leading")
    if not quantities.known(leading):
        return ""
    best = rows.sort_values("speedup").dropna(subset=["speedup"]).iloc[-1]
    said = (
        f"Timed on this machine: at a quarter of its rank {best['layer']} gains most, "
        f"{quantities.digits(best['speedup'])} times faster. "
    )
    if leading >= first(rows, "model_layers") + first(rows, "leading"):
        return f"{said}No layer gains 1.5 times, so factors would save memory here and no time."
    return f"{said}K = {int(leading)}: the layers before the first that gains 1.5 times."


def first(rows: pd.DataFrame, column: str) -> Any:
    """Return a value that all these rows share, None where there is no such column or row."""
    return rows[column].iloc[0] if column in rows and len(rows) else None


def _rank_column(rows: pd.DataFrame) -> str:
    now = _latest(rows)
    return "switch_rank" if quantities.known(first(now, "model_switch_epoch")) else "rank"


def _unstable(now: pd.DataFrame) -> str:
    return f"{int(first(now, 'model_unstable'))} of {int(first(now, 'model_layers'))}"


def _most(drifting: pd.DataFrame) -> str:
    """Return, as the end of a sentence, the layer that drifts most."""
    measured = pd.to_numeric(drifting["drift"]).dropna()
    if measured.empty:
        return ""
    worst = drifting.loc[measured.idxmax()]
    drift, allowed = quantities.digits(worst["drift"]), quantities.digits(worst["threshold"])
    return f"; {worst['layer']} drifts most ({drift} where {allowed} is allowed)"
