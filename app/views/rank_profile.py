"""Rank profile: where a model has low-rank structure, layer by layer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from app import connection, layer, profiles, quantities
from app.plots import difference, grid, metric
from app.plots.metric import Metric
from app.views.parts import (
    chart,
    layer_panel,
    layer_table,
    no_spectra,
    notes,
    permalink,
    running,
    selection,
    states,
)
from jobs.comparison import places

MODES = {"side": "side by side", "difference": "difference"}
NO_OTHER = "none"
COMPARE_PAGE = "views/compare.py"


@dataclass(frozen=True, eq=False)
class View:
    """What the address asks to see: one profile or two, coloured by one metric on one scale."""

    profiles: dict[str, pd.DataFrame]  # one model or two, the first first
    metric: Metric
    scale: str
    mode: str


def page() -> None:
    """Draw the page: the choices, the grid beside the decay, the numbers, the table."""
    client = connection.client()
    models = client.store.models()
    if models.empty:
        states.empty("No model yet", "Add one on **Models**: a folder, a file or a hub id.")
        return
    columns = st.columns([3, 2.4, 2.2, 2.2])
    with columns[0]:
        model = permalink.choice(
            "Model",
            list(models["name"]),
            "model",
            always=True,
            format_func=_about(models).__getitem__,
        )
    running.banner(client, model)
    profile = profiles.of(client.store, model)
    available = profiles.metrics(client.catalog(), profile)
    if profile.empty or not available:
        no_spectra.draw(client, model)
        return
    view = _chosen(client, columns, models, model, profile, available)
    _draw(client.store, view)
    several = len(view.profiles) > 1
    layer_table.draw(client.store, view.profiles[model], available, of=model if several else "")
    _left_out(client.store, model, profile)


def _about(models: pd.DataFrame) -> dict[str, str]:
    return {
        row["name"]: " · ".join(
            [row["name"], row["architecture"], quantities.count(row["parameters"])]
        )
        for row in models.to_dict("records")
    }


def _chosen(
    client: Any, columns: list[Any], models: pd.DataFrame, model: str, profile: pd.DataFrame,
    available: dict[str, Metric],
) -> View:  # fmt: skip
    with columns[1]:
        name = permalink.choice(
            "Metric", list(available), "metric", format_func=lambda name: available[name].title
        )
    with columns[2]:
        possible = metric.scales(available[name], profile.columns)
        scale = permalink.choice("Scale", possible, "scale", format_func=metric.SCALES.__getitem__)
    with columns[3]:
        others = [NO_OTHER, *(other for other in models["name"] if other != model)]
        other = permalink.choice(
            "Compare with", others, "with", format_func=lambda n: "—" if n == NO_OTHER else n
        )
    found, mode = {model: profile}, "side"
    second = profiles.of(client.store, other) if other != NO_OTHER else None
    if second is not None and second.empty:
        no_spectra.draw(client, other)
    elif second is not None:
        found[other] = second
        with columns[3]:
            mode = permalink.choice(
                "Compare as", list(MODES), "mode", format_func=MODES.__getitem__
            )
            st.page_link(
                COMPARE_PAGE, label="Open on Compare",
                icon=":material/compare_arrows:", query_params={"models": [model, other]},
            )  # fmt: skip
    with columns[1]:
        wanted = _views(profile)
    shown = {name: grid.of_views(table, wanted) for name, table in found.items()}
    if shown.get(other, profile).empty:
        st.caption(chart.plain(f"{other} has no {grid.VIEWS[wanted]}."))
        del shown[other]
    return View(shown, available[name], scale, mode)


def _views(profile: pd.DataFrame) -> str:
    """Return which cuts of the matrices are shown; ask where the profile has several."""
    there = grid.views(profile)
    if len(there) == 1:
        return there[0]
    return permalink.choice("Views", there, "views", format_func=grid.VIEWS.__getitem__)


def _draw(store: Any, view: View) -> None:
    """Draw the maps and the panel of the open layers, beside or below them."""
    tables = _tables(view)
    names = list(dict.fromkeys(n for table in tables.values() for n in table["layer"]))
    left, right = st.columns([1, 1.15], gap="medium")
    with left:
        place = st.container()
        chosen = selection.pick(names, _first(next(iter(tables.values()))))
    maps = list(tables.items())
    with place:
        _maps(view, *maps[0], tables, chosen, key="grid")
    side = len(maps) > 1
    if side:
        with right:
            _maps(view, *maps[1], tables, chosen, key="grid-other")
    _panel(store, view, chosen, st.container() if side else right)


def _first(table: pd.DataFrame) -> str:
    """Return the layer that is open when none was chosen: the first of the blocks."""
    inside = table[table["block"].notna()]
    return str((table if inside.empty else inside)["layer"].iloc[0])


def _tables(view: View) -> dict[str, pd.DataFrame]:
    """Return the prepared cells of each map under its title's end."""
    prepared = {
        model: grid.prepared(profile, view.metric, view.scale)
        for model, profile in view.profiles.items()
        if view.metric.name in profile
    }
    if len(prepared) == 2 and view.mode == "difference":
        first, second = prepared
        pair = places.aligned([prepared[first], prepared[second]], (first, second))
        sides = pair.taken(prepared[first], 0), pair.taken(prepared[second], 1)
        both = difference.cells(pair.places, sides, (first, second), "difference", view.scale)
        return {f"{first} minus {second}": both}
    return prepared


def _maps(
    view: View, title: str, table: pd.DataFrame, tables: Mapping[str, pd.DataFrame],
    chosen: list[str], key: str,
) -> None:  # fmt: skip
    scale = "difference" if " minus " in title and len(view.profiles) > 1 else view.scale
    colours = grid.colour_scale(grid.coloured_by(tables.values()), scale)
    both = tuple(view.profiles)
    words = ""
    if scale == "difference":
        words = metric.difference_sentence(view.metric, view.scale, (both[0], both[1]))
    figures = grid.maps(table, view.metric, scale, colours, words)
    heading = figures[0].title if len(view.profiles) == 1 else f"{view.metric.title} · {title}"
    said = f"{figures[0].caption} Click a cell for its spectrum."
    chart.heading(heading, said, notes.about(view.metric))
    for position, figure in enumerate(figures):
        chart.draw_map(figure, f"{key}-{position}", chosen, selection.opened)


def _panel(store: Any, view: View, chosen: list[str], place: Any) -> None:
    """Draw the decays in their place, and the first layer's numbers under them."""
    named = [
        (name if len(view.profiles) == 1 else f"{model} · {name}", row)
        for model, profile in view.profiles.items()
        for name in chosen
        for row in profile[profile["layer"] == name].to_dict("records")
    ]
    if not named:
        return
    name, row = named[0]
    seed = layer.seed_of(store.job(row["job"]))
    with place:
        layer_panel.decays(store, named, seed)
    if row["status"] == "done":
        several = len(view.profiles) > 1
        model = next(m for m, table in view.profiles.items() if row["layer"] in set(table["layer"]))
        only = f"These numbers and the densities are of {model} only."
        layer_panel.cards(name, row, only if several else "")
        layer_panel.eigenvalues(store, name, row)


def _left_out(store: Any, model: str, profile: pd.DataFrame) -> None:
    """List what the profile does not hold: tensors that are no matrices, matrices not measured."""
    tensors = store.tensors(model)
    skipped = tensors[tensors["state"] == "skipped"]
    # By layer: an adapter stores two tensors for each.
    known = {layer.partition("[")[0] for layer in profile["layer"]}
    waiting = set(tensors.loc[tensors["state"] == "matrix", "layer"]) - known
    if waiting:
        st.info(f"{len(waiting)} layers have no spectrum yet: launch them on Analyses.")
    if not skipped.empty:
        with st.expander(f"{len(skipped)} tensors are not in the profile, and why"):
            st.dataframe(
                skipped.assign(shape=[quantities.shape(s) for s in skipped["shape"]])[
                    ["name", "shape", "dtype", "reason"]
                ],
                hide_index=True,
            )


page()
