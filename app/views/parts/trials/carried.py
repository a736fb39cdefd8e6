"""A point of another page, taken over as what the form for a trial shows first."""

import json
from collections.abc import Mapping

import streamlit as st

HELD = "carried to a trial"
RANKS, OBJECTIVE = "trial.ranks", "trial.objective"  # keys of widgets


def carry(
    kept: float, allocation: str, form: str, objective: str, ranks: Mapping[str, int] | None
) -> None:
    """Keep a point for the form, which takes it when the page is opened next.

    `kept` is a share of the linear layers' parameters. With `ranks` by layer these are what is
    launched, and the allocation only says where they came from.
    """
    st.session_state[HELD] = {
        "address": {"kept": f"{kept:g}", "allocations": allocation, "forms": form},
        "objective": objective,
        "ranks": json.dumps(dict(ranks)) if ranks else "",
    }


def take() -> bool:
    """Put a carried point into the address and the widgets; return whether there was one."""
    point = st.session_state.pop(HELD, None)
    if point is None:
        return False
    for key, value in point["address"].items():
        st.query_params[key] = value
    st.session_state[OBJECTIVE] = point["objective"]
    st.session_state[RANKS] = point["ranks"]
    return True
