"""Which layers of the profile are open. They live in the address under `layers`."""

from collections.abc import Sequence

import streamlit as st

from app.views.parts import permalink

LAYERS, OVERLAY = "layers", "overlay"
VERSION = "table version"


def pick(names: Sequence[str], first: str) -> list[str]:
    """Draw the list of open layers and the switch for several; return them, or the first."""
    chosen = permalink.choices(
        "Open layers", names, LAYERS, placeholder=first, on_change=_renew_table
    )
    permalink.switch(
        "Overlay", OVERLAY, help="On: a click on a cell adds its layer to the plot or removes it."
    )
    return chosen or [first]


def opened(names: list[str]) -> None:
    """Open the layers that were clicked: alone, or with the others while overlaying."""
    before = list(st.session_state.get(LAYERS, []))
    if st.session_state.get(OVERLAY):
        kept = [name for name in before if name not in names]
        names = kept + [name for name in names if name not in before]
    st.session_state[LAYERS] = names
    _renew_table()


def opened_in_table(names: list[str]) -> None:
    """Open the layers whose rows are ticked, the first if none is; the table keeps its ticks."""
    st.session_state[LAYERS] = names


def table_version() -> int:
    """Return a number that changes when layers were opened elsewhere than in the table."""
    return int(st.session_state.get(VERSION, 0))


def _renew_table() -> None:
    st.session_state[VERSION] = table_version() + 1
