"""What trials hold on disk, and the button that frees it: numbers stay, files can be made again."""

from typing import Any

import pandas as pd
import streamlit as st

from app import quantities
from app.views.parts import chart, states
from app.views.parts.trials import found
from jobs.errors import JobError

WORKING = "working files"  # in the words of `jobs/disk.py`
FREED = "bytes that were freed"


def of_trial(held: pd.DataFrame, trial: str) -> pd.DataFrame:
    """Return what one trial has on disk: folders are named by the beginning of its key."""
    return held[held["key"].map(lambda key: trial.startswith(str(key))).astype(bool)]


def draw(client: Any, held: pd.DataFrame) -> None:
    """List the files of all trials by what they are for; free those that are ticked, or all."""
    _said()
    held = held[held["bytes"] > 0]  # a failed trial leaves an empty folder
    if held.empty:
        return
    total = quantities.size(held["bytes"].sum())
    with st.expander(f"Disk use: {total}"):
        st.caption(
            "Weights and working files of trials. What is freed is made again when it is asked "
            "for; every number stays."
        )
        shown = st.dataframe(
            pd.DataFrame({
                "what": held["what"],
                "of": held["label"],
                "size": [quantities.size(size) for size in held["bytes"]],
                "used": [found.when(at) for at in held["used"]],
            }),
            key="disk",
            hide_index=True,
            on_select="rerun",
            selection_mode="multi-row",
            height=min(36 * (len(held) + 1), 290),
            alt="Files of trials and their sizes",
        )  # fmt: skip
        ticked = held.iloc[shown["selection"]["rows"]]
        with st.container(horizontal=True):
            size = quantities.size(ticked["bytes"].sum())
            label = f"Free what is ticked ({size})" if len(ticked) else "Free what is ticked"
            if st.button(label, disabled=ticked.empty):
                free(client, list(ticked["key"]))
            working = held.loc[held["what"] == WORKING, "bytes"].sum()
            label = f"Free all working files ({quantities.size(working)})"
            if st.button(label, disabled=not working):
                free(client, None)


def free(client: Any, keys: list[str] | None) -> None:
    """Free the files of these keys, or all working files, and draw the page anew."""
    try:
        st.session_state[FREED] = client.free_disk(keys)
    except JobError as error:
        states.failed(str(error))
        return
    st.rerun()


def _said() -> None:
    freed = st.session_state.pop(FREED, None)
    if freed is not None:
        st.toast(chart.plain(f"{quantities.size(freed)} freed."))
