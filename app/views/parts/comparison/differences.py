"""One metric's difference of models on the grid, both decays of a place, every place in a table."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app import layer
from app.about import comparison as about
from app.plots import difference, grid, metric
from app.plots.metric import Metric
from app.views.parts import chart, layer_panel, notes, selection
from app.views.parts.comparison import subjects, table
from app.views.parts.comparison.subjects import LETTERS
from jobs.comparison.places import Aligned


@dataclass(frozen=True, eq=False)
class View:
    """What is compared: the profiles in order, the places where they meet, and by what."""

    profiles: dict[str, pd.DataFrame]
    met: Aligned
    metric: Metric
    scale: str
    way: str
    by_depth: bool

    @property
    def lettered(self) -> list[str]:
        """The names with their letters."""
        return subjects.lettered(list(self.profiles))

    def values(self) -> np.ndarray:
        """Return the metric at every place, (places, models)."""
        found = [
            metric.values(self.met.taken(profile, at), self.metric, self.scale)
            for at, profile in enumerate(self.profiles.values())
        ]
        return np.stack(found, axis=1)


def draw(store: Any, view: View) -> None:
    """Draw the maps beside the decays of the chosen place, then every place in the table."""
    left, right = st.columns([1, 1.15], gap="medium")
    with left:
        spot = st.container()
        names = list(view.met.places["layer"])
        chosen = selection.pick(names, _first(view))
    with spot:
        for other in range(1, len(view.profiles)):
            _maps(view, other, chosen)
    with right:
        _decays(store, view, chosen)
    _table(view)


def _first(view: View) -> str:
    """Return the place that is open when none was chosen: the first that all have, in a block."""
    rows = view.met.places
    common = (view.met.at >= 0).all(1)
    for wanted in (common & rows["block"].notna().to_numpy(), common):
        if wanted.any():
            return str(rows["layer"][wanted].iloc[0])
    return str(rows["layer"].iloc[0])


def _maps(view: View, other: int, chosen: list[str]) -> None:
    """Draw the first model's cells against another's."""
    prepared = [
        view.met.taken(grid.prepared(profile, view.metric, view.scale), at)
        for at, profile in enumerate(view.profiles.values())
        if at in (0, other)
    ]
    pair = prepared[0], prepared[1]
    there = (view.met.at[:, [0, other]] >= 0).any(1)
    letters = LETTERS[0], LETTERS[other]
    cells = difference.cells(view.met.places, pair, letters, view.way, view.scale)[there]
    colours = grid.colour_scale(grid.coloured_by([cells]), view.way)
    words = difference.sentence(view.metric, view.scale, view.way, letters)
    names = list(view.profiles)
    held = f"{names[0]} {'minus' if view.way == 'difference' else 'over'} {names[other]}"
    figures = [
        dataclasses.replace(figure, title=f"{figure.title}: {held}")
        for figure in grid.maps(cells, view.metric, view.way, colours, words)
    ]
    sign = difference.MINUS if view.way == "difference" else "/"
    both = f"{view.lettered[0]}, {view.lettered[other]}"
    alone = [int(view.met.lacking(at)[there].sum()) for at in (other, 0)]
    chart.heading(
        f"{view.metric.title} · {letters[0]} {sign} {letters[1]}",
        f"{words} {_alone(alone, letters)}{_depth(view, other)}Click a cell for both decays. "
        f"{both}.",
        f"{notes.about(view.metric)}\n\n{about.PLACES}",
    )
    for position, figure in enumerate(figures):
        chart.draw_map(figure, f"grid-{other}-{position}", chosen, selection.opened)


def _alone(counts: Sequence[int], letters: tuple[str, str]) -> str:
    """Return how many layers only one of two models has, as a sentence; "" for none."""
    told = [f"{n} only {letter} has" for n, letter in zip(counts, letters, strict=True) if n]
    return f"Grey: {', '.join(told)}. " if told else ""


def _depth(view: View, other: int) -> str:
    """Return which blocks meet by depth, as a sentence; "" where they meet by number."""
    if not view.by_depth:
        return ""
    ours, theirs = (
        int(list(view.profiles.values())[at]["block"].dropna().nunique()) for at in (0, other)
    )
    letter = LETTERS[other]
    if ours < 2 or not theirs:
        return f"Every block of A meets the first of {letter}. "
    return (
        f"Block i of A's {ours} meets block {theirs - 1} i / {ours - 1} of {letter}'s {theirs}, "
        "rounded. "
    )


def _decays(store: Any, view: View, chosen: list[str]) -> None:
    """Draw every model's decay at the chosen places; say which has no layer there."""
    named, missing = [], []
    rows = view.met.places["layer"]
    for place in np.flatnonzero(rows.isin(chosen).to_numpy()):
        for letter, profile, at in zip(
            LETTERS, view.profiles.values(), view.met.at[place], strict=False
        ):
            if at < 0:
                missing.append(f"{letter} has no {rows[place]}.")
                continue
            row = profile.iloc[at].to_dict()
            named.append((f"{letter} · {row['layer']}", row))
    if not named:
        return
    layer_panel.decays(store, named, layer.seed_of(store.job(named[0][1]["job"])))
    if missing:
        st.caption(chart.plain(" ".join(missing)))


def _table(view: View) -> None:
    sides = [view.met.taken(profile, at) for at, profile in enumerate(view.profiles.values())]
    words = f"{view.metric.title}, {metric.SCALES[view.scale]}"
    told = f"{words}. {view.metric.help}"
    column = table.Column(view.metric.title, told, view.values(), view.way)
    table.draw(view.met, [column], [side["layer"] for side in sides], "Layer by layer", "layers")
