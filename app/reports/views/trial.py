"""Compression trials: what size costs, whether that was predicted, and one trial's layers."""

from dataclasses import replace

import pandas as pd

from app import quantities, trials
from app.plots import accuracy_against_size, layer_ranks, predicted_against_measured
from app.plots.figure import Figure
from app.shown import Shown


def figures(shown: Shown) -> list[Figure]:
    """Return the figures of all trials that were measured alike, then the smallest one's layers."""
    done = finished(shown)
    if done.empty:
        return []
    found: list[Figure | None] = []
    on = trials.measured_on(done)
    for text in dict.fromkeys(on):
        alike = done[on.eq(text)]
        figure = accuracy_against_size.draw(alike, _first_measure(alike), "bytes")
        said = f"{figure.caption} Measured on {text}."
        found.append(replace(figure, caption=said) if on.nunique() > 1 else figure)
    found.append(predicted_against_measured.draw(done))
    return [figure for figure in [*found, *_layers(done)] if figure is not None]


def finished(shown: Shown) -> pd.DataFrame:
    """Return the job's trials that were measured, of those whose labels the job's rows have."""
    every = trials.of_model(shown.client, str(shown.job["model"]))
    own = shown.client.store.units(shown.job["id"])
    mine = every["unit"].isin(own["unit"]) & every["label"].isin(shown.rows["label"])
    return trials.finished(every[mine])


def _first_measure(alike: pd.DataFrame) -> str:
    return accuracy_against_size.measures(alike)[0]


def _layers(done: pd.DataFrame) -> list[Figure]:
    """Return ranks and errors of the smallest trial, of those the one that loses least."""
    smallest = done.sort_values(["kept_model", "delta"], kind="stable").iloc[0].to_dict()
    layers = layer_ranks.read(str(smallest["layers"] or "[]"))
    if layers.empty:
        return []
    maps = layer_ranks.maps(layers, layer_ranks.ranked(layers)[0])
    drawn = [*maps, layer_ranks.errors(layers), layer_ranks.predicted(layers)]
    kept = quantities.percent(smallest["kept_linear"])
    name = f"trial {smallest['trial']}, {smallest['method']} at {kept}"
    return [replace(one, title=f"{one.title} · {name}") for one in drawn if one is not None]
