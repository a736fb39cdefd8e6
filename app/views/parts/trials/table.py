"""Every trial of a model as a table: a row opens its trial."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from app import quantities, trials
from app.plots import trial_words
from app.views.parts import chart
from app.views.parts.trials import disk
from app.views.parts.trials.figures import opened
from app.views.parts.trials.methods import Methods
from jobs.trials import unsized

NARROW, WIDER = 66, 76  # pixels: all columns are seen at once in a window of 1440
Text, Number = st.column_config.TextColumn, st.column_config.NumberColumn
UNTIMED = ["predicted", "error", "speed"]  # what no trial of an update has
COLUMNS = {
    "trial": Text(help="the job's number, and the trial's in it", pinned=True, width=50),
    "method": Text(help="with what its trials vary: allocation, form, ...", pinned=True, width=140),
    "asked": Number(format="%.1f %%", width=NARROW, help="share to keep that was asked for"),
    "linears": Number(
        format="%.1f %%", width=NARROW, help="share of the chosen linear layers' parameters kept"
    ),
    "model": Number(
        format="%.1f %%", width=NARROW, help="share of the whole model's parameters kept"
    ),
    "bytes": Text(width=NARROW),
    "Δloss": Number(
        format="%.4f", width=NARROW,
        help="change from the dense model, positive is worse: nats per token, or Spearman lost",
    ),
    "95 %": Text(help="paired interval of Δloss", width=136),
    "predicted": Number(
        format="%.4f", width=WIDER, help="predicted Δloss; not reliable above 0.3"
    ),
    "perplexity": Number(format="%.3f", width=WIDER),
    "error": Number(
        format="%.3f", width=NARROW, help="error of the layers' outputs on windows left out"
    ),
    "speed": Number(
        format="%.2f×", width=NARROW,
        help="latency of the dense model over the trial's, measured interleaved",
    ),
    "on disk": Text(width=NARROW, help="weights and files of this trial that are kept now"),
}  # fmt: skip


def columns(beside: trial_words.Beside) -> dict[str, Any]:
    """Return how columns are written, in the words of what the trials are measured beside."""
    if beside.is_dense:
        return COLUMNS
    delta = Number(
        format="%.4f", width=NARROW,
        help=f"change from {beside.the}, positive is worse: nats per token, or Spearman lost",
    )  # fmt: skip
    kept = Number(format="%.1f %%", width=NARROW, help=f"share of {beside.part} kept")
    return COLUMNS | {beside.column: kept, "Δloss": delta}


def draw(found: pd.DataFrame, held: pd.DataFrame, methods: Methods) -> None:
    """Draw the trials; `held` is what all have on disk, `methods` are as they are declared."""
    done = trials.finished(found)
    if not done.empty:
        chart.heading(
            "All trials",
            "The newest sweep first, each with the shares of parameters kept. Tick a row to open "
            "one.",
        )
        config = columns(trial_words.beside(done.to_dict("records")))
        _listed(table(done, held), list(done["unit"]), "trials", config)
        _unsized(done, methods)
    failed = found[found["state"].eq("failed")]
    if not failed.empty:
        chart.heading("Failed trials", "Why each failed: no number of such a trial is kept.")
        told = failed[["trial", "label", "message"]].set_axis(["trial", "method", "why"], axis=1)
        config = {"why": Text(width="large")}
        _listed(told, list(failed["unit"]), "failed", config)


def listed(done: pd.DataFrame, held: pd.DataFrame, methods: Methods) -> None:
    """Draw finished trials on a page that opens none."""
    if not done.empty:
        st.dataframe(
            table(done, held), hide_index=True,
            column_config=columns(trial_words.beside(done.to_dict("records"))),
            placeholder=quantities.NOT_KNOWN, height=_height(done), alt="The trials of this job",
        )  # fmt: skip
        _unsized(done, methods)


def _unsized(done: pd.DataFrame, methods: Methods) -> None:
    """Say what set the sizes of those trials that were asked for no share."""
    said = unsized.of_trials(methods, done.to_dict("records"))
    if said:
        st.caption(chart.plain(f"{'; '.join(said)}."))


def _height(shown: pd.DataFrame) -> int:
    return min(36 * (len(shown) + 1), 430)


def _listed(shown: pd.DataFrame, keys: list[Any], key: str, config: Mapping[str, Any]) -> None:
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
        column_config=COLUMNS | config,
        placeholder=quantities.NOT_KNOWN,
        height=_height(shown),
        alt=f"The {key} of this model" if key == "trials" else "Trials that failed, and why",
    )


def table(done: pd.DataFrame, held: pd.DataFrame) -> pd.DataFrame:
    """Return what the table shows, a row for each finished trial."""
    rows = done.to_dict("records")
    weights = [disk.of_trial(held, str(row["unit"]))["bytes"].sum() for row in rows]
    held_now = [quantities.size(size) if size else None for size in weights]
    found = trials.summary(done).assign(**{"on disk": held_now})
    beside = trial_words.beside(rows)
    if beside.is_dense:
        return found
    return found.drop(columns=UNTIMED).rename(columns={"linears": beside.column})
