"""Every linear layer of a point: its rank, what it holds and what it loses."""

import pandas as pd
import streamlit as st

from app import quantities
from app.views.parts import chart

COLUMNS = {
    "layer": st.column_config.TextColumn("layer", pinned=True),
    "shape": st.column_config.TextColumn("shape"),
    "rank": st.column_config.NumberColumn("rank"),
    "full": st.column_config.NumberColumn("full rank"),
    "before": st.column_config.NumberColumn("parameters before", format="localized"),
    "after": st.column_config.NumberColumn("after", format="localized"),
    "kept": st.column_config.NumberColumn("size kept", format="%.1f %%"),
    "nats": st.column_config.NumberColumn(
        "predicted Δloss", format="%.4g", help="what the layer adds, in nats per token"
    ),
    "error": st.column_config.NumberColumn(
        "relative error", format="%.3f", help="‖W - W'‖/‖W‖ of the layer"
    ),
    "reason": st.column_config.TextColumn("reason", width="medium"),
}


def draw(layers: pd.DataFrame, left_out: str) -> None:
    """Draw the table; `left_out` says which matrices take no part."""
    words = f"What each keeps at this point; click a heading to sort.{left_out}"
    chart.heading("All linear layers", words)
    shape = [quantities.shape(s) for s in zip(layers["rows"], layers["cols"], strict=True)]
    table = layers.assign(shape=shape, kept=100 * layers["after"] / layers["before"])
    shown = [name for name in COLUMNS if name != "nats" or layers["nats"].notna().any()]
    st.dataframe(
        table[shown],
        hide_index=True,
        column_config=COLUMNS,
        placeholder=quantities.NOT_KNOWN,
        height=min(36 * (len(table) + 1), 430),
        alt="Every linear layer with its rank, parameters and error",
    )


def left_out(labels: pd.DataFrame) -> str:
    """Return which matrices take no part, for they are not linear layers."""
    others = labels[labels["kind"] != "linear"]
    if others.empty:
        return ""
    counts = others.drop_duplicates("layer")["kind"].fillna("other").value_counts()
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    return f" Left whole, for only linear layers are traded: {kinds}."
