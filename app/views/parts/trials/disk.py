"""What trials hold on disk, and the button that frees it: numbers stay, files can be made again."""

from typing import Any

import pandas as pd
import streamlit as st

from app import quantities
from app import trials as found
from app.views.parts import chart, states
from jobs import disk as kept
from jobs.errors import JobError

WORKING = "working files"  # in the words of `jobs/disk.py`
FREED = "bytes that were freed"


def of_trial(held: pd.DataFrame, trial: str) -> pd.DataFrame:
    """Return what one trial has on disk: its weights, and what was exported of them.

    Folders are named by the beginning of a key.
    """
    own = held["key"].map(lambda key: trial.startswith(str(key))).astype(bool)
    return held[own | held["trial"].eq(trial)]


def draw(client: Any, held: pd.DataFrame) -> None:
    """List the files of all trials by what they are for; free those that are ticked, or all."""
    _said()
    held = held[held["bytes"] > 0]  # a failed trial leaves an empty folder
    if held.empty:
        return
    total = quantities.size(held["bytes"].sum())
    with st.expander(f"Disk use: {total}"):
        st.caption(
            "Weights, exports and working files of trials. With a trial's weights its exports are "
            "freed. All of it is made again when it is asked for; every number stays."
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
        keys = kept.with_exports(held, list(held.iloc[shown["selection"]["rows"]]["key"]))
        ticked = held[held["key"].isin(keys)]
        with st.container(horizontal=True):
            size = quantities.size(ticked["bytes"].sum())
            label = f"Free what is ticked ({size})" if len(ticked) else "Free what is ticked"
            if st.button(label, disabled=ticked.empty):
                free(client, keys)
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
