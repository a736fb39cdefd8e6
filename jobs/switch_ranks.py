"""Ranks that a stable-rank job found: those at which low-rank training would switch to factors."""

from typing import Any

import pandas as pd

from jobs.errors import JobError

ANALYSES = ("stable_rank", "stable_rank_training")


def jobs(store: Any, model: str) -> list[str]:
    """Return the ids of a model's finished stable-rank jobs, the newest first."""
    found = store.jobs()
    own = (found["model"] == model) & found["analysis"].isin(ANALYSES) & (found["state"] == "DONE")
    return list(found["id"][own])


def ranks(store: Any, job: str, table: pd.DataFrame) -> dict[str, int]:
    """Return the last rank of each linear layer: at the switch, or now where there was none yet.

    `table` is of the model's linear layers; layers of another shape are another model's, such as
    the small one of a training run. Raises JobError when there is no rank of any.
    """
    found = store.results(job).dropna(subset=["layer", "rank"])
    last = found.sort_values("step", kind="stable").drop_duplicates("layer", keep="last")
    same = last.merge(table[["layer", "rows", "cols"]], on=["layer", "rows", "cols"])
    if same.empty:
        raise JobError(
            f"job {job} has no rank of a linear layer of this model: its layers have other names "
            "or shapes, or were measured too seldom"
        )
    chosen = same["switch_rank"].fillna(same["rank"]).astype(int)
    return {str(layer): int(rank) for layer, rank in zip(same["layer"], chosen, strict=True)}
