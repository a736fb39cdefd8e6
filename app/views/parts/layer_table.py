"""The profile as a table: sortable, filterable, with a spark line of each decay."""

import hashlib
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from app import quantities
from app.plots.metric import Metric
from app.views.parts import chart, permalink, selection

FIRST = ("stable_rank", "effective_rank_sigma", "k95", "alpha", "welore_reduction")
FORMATS = {"exponent": "%.2f", "ratio": "%.3f", "norm": "%.4g", "rank": "%.1f"}


def draw(store: Any, profile: pd.DataFrame, available: Mapping[str, Metric], of: str = "") -> None:
    """Draw the filters and the table; ticking rows opens their layers.

    `of` names the model where the page shows two.
    """
    title = f"All layers of {of}" if of else "All layers"
    chart.heading(title, "Tick rows to overlay their decays; click a heading to sort.")
    shown, columns = _filtered(profile, available)
    if shown.empty:
        st.info("No layer matches these filters: clear the search or the modules.")
        return
    table = _table(store, shown, columns)
    mark = "|".join([*shown["layer"], str(selection.table_version())])
    key = f"table-{hashlib.sha256(mark.encode()).hexdigest()[:12]}"
    layers = list(shown["layer"])
    opened = st.session_state.get(selection.LAYERS, [])

    def ticked() -> None:
        rows = st.session_state[key]["selection"]["rows"]
        selection.opened_in_table([layers[row] for row in rows])

    st.dataframe(
        table,
        key=key,
        hide_index=True,
        on_select=ticked,
        selection_mode="multi-row",
        selection_default={
            "selection": {"rows": [i for i, name in enumerate(layers) if name in opened]}
        },
        column_config=_column_config(table, available, columns),
        placeholder=quantities.NOT_KNOWN,
        height=min(36 * (len(table) + 1), 430),
        alt="Every layer of the profile with its ranks",
    )
    st.caption(f"{len(shown)} of {len(profile)} layers.")


def _filtered(
    profile: pd.DataFrame, available: Mapping[str, Metric]
) -> tuple[pd.DataFrame, list[str]]:
    search, modules, columns = st.columns([2, 2, 4])
    with search:
        find = permalink.words(
            "Find a layer", "find", placeholder="blocks.3", icon=":material/search:"
        )
    with modules:
        chosen = permalink.choices(
            "Modules", list(dict.fromkeys(profile["module"])), "modules", placeholder="all"
        )
    with columns:
        first = [name for name in FIRST if name in available]
        wanted = permalink.choices(
            "Columns", list(available), "columns", first,
            format_func=lambda name: available[name].title,
        )  # fmt: skip
    keep = profile["layer"].str.contains(find, case=False, regex=False)
    if chosen:
        keep &= profile["module"].isin(chosen)
    return profile[keep], wanted


def _table(store: Any, shown: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    sparks = store.sparks([key for key in shown["matrix_key"] if key], points=24)
    decay = dict(zip(sparks["key"], sparks["values"], strict=True))
    table = shown[["layer", "block", "module"]].copy()
    table["block"] = table["block"].astype("Int64")
    if table["block"].isna().all():
        table = table.drop(columns="block")
    table["shape"] = [
        quantities.shape(sizes) for sizes in zip(shown["rows"], shown["cols"], strict=True)
    ]
    for name in columns:
        table[name] = shown[name]
    table["decay"] = [
        list(decay.get(key, [])) if state == "done" else []
        for key, state in zip(shown["matrix_key"], shown["status"], strict=True)
    ]
    if (shown["status"] != "done").any() or (shown["message"] != "").any():
        table["state"] = shown["status"].where(shown["message"] == "", shown["message"])
    return table


def _format(column: pd.Series, kind: str) -> str:
    """Return the digits of a column: none for counts, otherwise what its kind deserves."""
    if (column.dropna() % 1 == 0).all():
        return "%d"
    return FORMATS.get(kind, "%.4g")


def _column_config(
    table: pd.DataFrame, available: Mapping[str, Metric], columns: list[str]
) -> dict[str, Any]:
    config: dict[str, Any] = {
        "layer": st.column_config.TextColumn(pinned=True),
        "block": st.column_config.NumberColumn(width=60),
        "decay": st.column_config.LineChartColumn(
            "decay", help="24 singular values, evenly spaced", y_min=0.0, width="small"
        ),
        "state": st.column_config.TextColumn("state", width="medium"),
    }
    for name in columns:
        metric = available[name]
        config[name] = st.column_config.NumberColumn(
            metric.title, help=metric.help or None, format=_format(table[name], metric.kind)
        )
    return config
