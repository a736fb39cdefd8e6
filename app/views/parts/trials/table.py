"""Every trial of a model as a table: a row opens its trial."""

from typing import Any

import pandas as pd
import streamlit as st

from app import quantities
from app.plots import trial_words
from app.views.parts import chart
from app.views.parts.trials import disk
from app.views.parts.trials import found as trials
from app.views.parts.trials.figures import opened

NARROW, WIDER = 78, 98  # pixels
Text, Number = st.column_config.TextColumn, st.column_config.NumberColumn
COLUMNS = {
    "trial": Text(help="the job's number, and the trial's in it", pinned=True, width=56),
    "method": Text(help="with what its trials vary: allocation, form, ...", pinned=True, width=190),
    "kept (asked)": Number(format="%.1f %%", width=WIDER),
    "kept (linears)": Number(format="%.1f %%", width=WIDER),
    "kept (model)": Number(format="%.1f %%", width=WIDER),
    "bytes": Text(width=NARROW),
    "Δloss": Number(
        format="%.4f", width=NARROW,
        help="change from dense, positive is worse: nats per token, or Spearman lost",
    ),
    "95 %": Text(help="paired interval of Δloss"),
    "predicted": Number(
        format="%.4f", width=NARROW, help="predicted Δloss; not reliable above 0.3"
    ),
    "perplexity": Number(format="%.3f", width=NARROW),
    "held-out error": Number(
        format="%.3f", width=WIDER, help="error of the layers' outputs on windows left out"
    ),
    "speed": Number(
        format="%.2f×", width=NARROW,
        help="latency of the dense model over the trial's, measured interleaved",
    ),
    "weights on disk": Text(width=WIDER),
}  # fmt: skip


def draw(found: pd.DataFrame, held: pd.DataFrame) -> None:
    """Draw the trials; `held` is what all have on disk."""
    done = trials.finished(found)
    if not done.empty:
        chart.heading("All trials", "The newest first. Tick a row to open the trial.")
        _listed(table(done, held), list(done["unit"]), "trials")
    failed = found[found["state"].eq("failed")]
    if not failed.empty:
        chart.heading("Failed trials", "Why each failed: no number of such a trial is kept.")
        told = failed[["trial", "label", "message"]].set_axis(["trial", "method", "why"], axis=1)
        _listed(told, list(failed["unit"]), "failed")


def _listed(shown: pd.DataFrame, keys: list[Any], key: str) -> None:
    def ticked() -> None:
        rows = st.session_state[key]["selection"]["rows"]
        if rows:
            opened([str(keys[rows[0]])])

    st.dataframe(
        shown,
        key=key,
        hide_index=True,
        on_select=ticked,
        selection_mode="single-row",
        column_config=COLUMNS | {"why": Text(width="large")},
        placeholder=quantities.NOT_KNOWN,
        height=min(36 * (len(shown) + 1), 430),
        alt=f"The {key} of this model" if key == "trials" else "Trials that failed, and why",
    )


def table(done: pd.DataFrame, held: pd.DataFrame) -> pd.DataFrame:
    """Return what the table shows, a row for each finished trial."""
    rows = done.to_dict("records")
    weights = [disk.of_trial(held, str(row["unit"]))["bytes"].sum() for row in rows]
    return pd.DataFrame({
        "trial": done["trial"],
        "method": trial_words.line_names(rows),
        "kept (asked)": 100 * _numbers(done, "nominal"),
        "kept (linears)": 100 * _numbers(done, "kept_linear"),
        "kept (model)": 100 * _numbers(done, "kept_model"),
        "bytes": [quantities.size(row["bytes"]) for row in rows],
        "Δloss": _numbers(done, "delta"),
        "95 %": [trial_words.interval(row) or None for row in rows],
        "predicted": _numbers(done, "predicted"),
        "perplexity": _numbers(done, "perplexity"),
        "held-out error": _numbers(done, "heldout_error"),
        "speed": pd.Series([trial_words.faster(row) for row in rows], done.index, dtype=float),
        "weights on disk": [quantities.size(size) if size else None for size in weights],
    })  # fmt: skip


def _numbers(done: pd.DataFrame, name: str) -> pd.Series:
    return pd.to_numeric(done[name], errors="coerce")
