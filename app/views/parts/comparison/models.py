"""Models side by side: what they are, and by what their profiles are compared."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app import layer, profiles, quantities
from app.plots import difference, grid, metric
from app.plots.metric import Metric
from app.views.parts import chart, no_spectra, permalink, running, states
from app.views.parts.comparison import differences, subjects
from app.views.parts.comparison.differences import View
from jobs.comparison import differing, places

MODELS_PAGE = "views/models.py"
MEETING = {"number": "by number", "depth": "by relative depth"}


def draw(client: Any, place: Any, caption: str) -> None:
    """Ask in a place which models are compared, and draw the comparison."""
    models = client.store.models()
    if len(models) < 2:
        states.empty(
            "One model only",
            "Add a second on **Models**, an adapter or another checkpoint of it say: then both "
            "stand here side by side.",
        )
        st.page_link(MODELS_PAGE, label="Add a model", icon=":material/deployed_code:")
        return
    with place:
        names = {str(name): str(name) for name in models["name"]}
        chosen = subjects.pick("Models", names, "models")
    st.caption(chart.plain(caption))
    if len(chosen) < 2:
        states.empty(*subjects.TOO_FEW)
        return
    for name in chosen:
        running.banner(client, name)
    _compared(client, models, chosen)


def _compared(client: Any, models: pd.DataFrame, chosen: Sequence[str]) -> None:
    found = {name: profiles.of(client.store, name) for name in chosen}
    measured = {name: profile for name, profile in found.items() if not profile.empty}
    for name in found:
        if name not in measured:
            no_spectra.draw(client, name)
    offered = [profiles.metrics(client.catalog(), profile) for profile in measured.values()]
    view = _chosen(offered, measured) if len(measured) > 1 else None
    if view is not None:
        _cards(models, view, _lone(offered))
        differences.draw(client.store, view)
    _facts(client.store, models, found)


def _chosen(
    offered: Sequence[Mapping[str, Metric]], measured: Mapping[str, pd.DataFrame]
) -> View | None:
    """Ask by what the profiles are compared; None where they share nothing to compare."""
    common = {n: m for n, m in offered[0].items() if all(n in other for other in offered)}
    if not common:
        states.empty("Nothing to compare", "No number was measured on all of these models.")
        return None
    columns = st.columns([2.2, 2, 1.8, 1.8, 1.8])
    with columns[0]:
        name = permalink.choice(
            "Metric", list(common), "metric", format_func=lambda name: common[name].title
        )
    shared = set.intersection(*(set(profile.columns) for profile in measured.values()))
    with columns[1]:
        possible = metric.scales(common[name], shared)
        scale = permalink.choice("Scale", possible, "scale", format_func=metric.SCALES.__getitem__)
    with columns[2]:
        way = permalink.choice(
            "Compared as", difference.ways(common[name]), "compared", follows=True,
            format_func=difference.WAYS.__getitem__,
        )  # fmt: skip
    with columns[3]:
        meeting = permalink.choice(
            "Blocks meet", list(MEETING), "blocks", format_func=MEETING.__getitem__,
            help="By relative depth: block i of n meets block i (m - 1) / (n - 1) of m, rounded.",
        )  # fmt: skip
    with columns[4]:
        shown = _of_one_kind(measured)
    names = list(shown)
    by_depth = meeting == "depth"
    met = places.aligned(list(shown.values()), names, by_depth=by_depth)
    return View(shown, met, common[name], scale, way, by_depth)


def _lone(offered: Sequence[Mapping[str, Metric]]) -> str:
    """Return which metrics only some of the models have, as a sentence; "" for none."""
    titles = {name: one.title for metrics in offered for name, one in metrics.items()}
    lone = [title for n, title in titles.items() if not all(n in metrics for metrics in offered)]
    return states.short(f" Not measured on all of them: {', '.join(lone)}.") if lone else ""


def _of_one_kind(measured: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the profiles' whole matrices, or the heads or slices that are asked for."""
    there = {view for profile in measured.values() for view in grid.views(profile)}
    ordered = [view for view in grid.VIEWS if view in there]
    wanted = ordered[0]
    if len(ordered) > 1:
        wanted = permalink.choice("Views", ordered, "views", format_func=grid.VIEWS.__getitem__)
    return {name: grid.of_views(profile, wanted) for name, profile in measured.items()}


def _cards(models: pd.DataFrame, view: View, lone: str) -> None:
    """Draw a card for each model, with its middle value of the metric over what all have."""
    values = view.values()
    common = np.isfinite(values).all(1)
    rows = models.set_index("name")
    about_metric = f"Median {view.metric.title} over the {common.sum()} layers that all have"
    cards = []
    for at, (name, heading) in enumerate(zip(view.profiles, view.lettered, strict=True)):
        row = rows.loc[name]
        middle = float(np.median(values[common, at])) if common.any() else float("nan")
        beside = " · ".join([
            f"{quantities.count(row['parameters'])} parameters", quantities.size(row["bytes"]),
        ])  # fmt: skip
        written = metric.written(middle, view.scale)
        cards.append((chart.plain(heading), written, beside, f"{about_metric}."))
    st.caption(chart.plain(f"{about_metric}, {metric.SCALES[view.scale]}.{lone}"))
    chart.cards(cards)


def _facts(store: Any, models: pd.DataFrame, found: Mapping[str, pd.DataFrame]) -> None:
    """Draw what the models are: of what they are made and how they were measured."""
    rows = models.set_index("name")
    facts = [_of_model(store, rows.loc[name], profile) for name, profile in found.items()]
    subjects.settings(facts, list(found), "every", "facts about these models")


def _of_model(store: Any, row: pd.Series, profile: pd.DataFrame) -> dict[str, Any]:
    tensors = store.tensors(row.name)
    matrices = tensors[tensors["state"] == "matrix"]
    jobs = store.jobs()
    own = jobs[(jobs["model"] == row.name) & (jobs["analysis"] == "spectrum")]
    asked = differing.flat(layer.params_of(own.iloc[0])) if len(own) else {}
    return {
        "architecture": row["architecture"],
        "kind": row["kind"],
        "from": row["origin"],
        "dtype": row["dtype"],
        "parameters": quantities.count(row["parameters"]),
        "size on disk": quantities.size(row["bytes"]),
        "blocks": _known(row["blocks"]),
        "matrices": len(matrices),
        "modules": sorted(matrices["module"].dropna().unique()),
        "layers with spectra": len(profile),
        **{f"spectra: {key}": value for key, value in asked.items()},
    }


def _known(value: Any) -> int | None:
    return int(value) if quantities.known(value) else None
