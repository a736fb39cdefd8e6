"""What a trial made of each layer: the map of ranks beside the errors."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app.about.trial import ABOUT_LAYERS
from app.plots import layer_ranks
from app.views.parts import chart, permalink


def draw(row: Mapping[str, Any]) -> None:
    """Draw the maps and the bars of one trial's layers."""
    layers = layer_ranks.read(str(row["layers"] or "[]"))
    if layers.empty:
        return
    left, right = st.columns([1.1, 1], gap="medium")
    with left:
        place = st.container()
        what = permalink.choice(
            "Colour by", layer_ranks.ranked(layers), "layers_by",
            format_func=layer_ranks.COLOURED.get,
        )  # fmt: skip
        maps = layer_ranks.maps(layers, what)
        with place:
            chart.heading(maps[0].title, maps[0].caption, ABOUT_LAYERS)
            for position, figure in enumerate(maps):
                chart.draw_map(figure, f"layers-{position}", (), lambda _: None)
    with right:
        for key, found in (
            ("errors", layer_ranks.errors(layers)),
            ("losses", layer_ranks.predicted(layers)),
        ):
            if found is not None:
                chart.heading(found.title, found.caption, ABOUT_LAYERS if key == "errors" else "")
                chart.draw(found, f"layer-{key}", height=240)
