"""The reports of this home: what is in each, its file to take away, and its removal."""

import functools
from pathlib import Path

import streamlit as st

from app import quantities
from app.reports import formats, kept
from app.reports.names import counted
from app.views.parts import chart

MOST = 20


def just_made(home: Path, id: str) -> None:
    """Offer the report that this session has just made, if it is still there."""
    for one in kept.listed(home):
        if one.id == id:
            _download(home, one, f"Download {one.form}, {quantities.size(one.bytes)}", "made")


def draw(home: Path) -> None:
    """Draw the newest reports, each with its buttons."""
    found = kept.listed(home)
    if not found:
        return
    chart.heading("Earlier reports", "Kept in this home until they are removed.")
    for one in found[:MOST]:
        _one(home, one)
    if len(found) > MOST:
        st.caption(f"{len(found) - MOST} older ones are in {chart.plain(str(home / kept.FOLDER))}.")


def _one(home: Path, one: kept.Kept) -> None:
    with st.container(border=True):
        about, take, drop = st.columns([5, 1.4, 1.1], vertical_alignment="center")
        when = quantities.clock(one.created)
        size = quantities.size(one.bytes)
        about.markdown(f"**{chart.plain(one.model)}** · {one.form} · {when} · {size}")
        listed = ", ".join(one.sections)
        about.caption(
            chart.plain(
                f"{counted(one.figures, 'figure')}, {counted(one.tables, 'table')}: {listed}"
            )
        )
        with take:
            _download(home, one, "Download", "take")
        drop.button(
            "Remove", key=f"drop-{one.id}", on_click=kept.remove, args=(home, one.id),
            width="stretch",
        )  # fmt: skip


def _download(home: Path, one: kept.Kept, words: str, key: str) -> None:
    st.download_button(
        words, functools.partial(kept.content, home, one), file_name=one.file,
        mime=formats.MIME[one.form], key=f"{key}-{one.id}", on_click="ignore", width="stretch",
    )  # fmt: skip
