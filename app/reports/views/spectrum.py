"""Weight spectra: the rank profile as maps, and the decays of the layers at its two ends."""

from typing import Any

import numpy as np
import pandas as pd

from app import layer, quantities
from app.plots import decay, grid, metric
from app.plots.figure import Figure
from app.shown import Shown

COLUMNS = ("label", "rows", "cols", "stable_rank", "effective_rank_sigma", "k95", "alpha",
           "effective_rank_sigma_vs_noise")  # fmt: skip
PLACE = ("layer", "block", "module", "view", "kind", "rows", "cols", "matrix_key")
ENDS = 2  # layers from each end
ENERGY = 0.95


def figures(shown: Shown) -> list[Figure]:
    """Return the maps of the first metric, and what stands at its ends: the two lowest and highest.

    The lowest layer is drawn once more by itself, with what it is to be held against.
    """
    profile = placed(shown)
    found = metric.metrics(shown.columns.values(), profile.columns[profile.notna().any()])
    if profile.empty or not found:
        return []
    first = next(iter(found.values()))
    scale = metric.scales(first, profile.columns)[0]
    whole = grid.of_views(profile, grid.views(profile)[0])
    cells = grid.prepared(whole, first, scale)
    colours = grid.colour_scale(grid.coloured_by([cells]), scale)
    drawn = grid.maps(cells, first, scale, colours)
    return [*drawn, *_decays(shown, whole, cells)]


def placed(shown: Shown) -> pd.DataFrame:
    """Return a job's rows with each layer's place in the model; of what is no longer there, none.

    `matrix_key` is "" where the label means other weights now than those that were measured.
    """
    store = shown.client.store
    labels = store.labels(shown.job["model"])
    places = labels[list(PLACE)]
    own = shown.rows.rename(columns={"label": "layer"})
    rows = own.drop(columns=[n for n in PLACE[1:] if n in own]).merge(places, on="layer")
    units = store.units(shown.job["id"]).dropna(subset="unit")
    inputs = store.records(list(units["unit"])).set_index("key")["inputs"]
    measured = dict(zip(units["label"], units["unit"].map(inputs), strict=True))
    keys = [
        key if isinstance(key, str) and key in str(measured.get(name)) else ""
        for name, key in zip(rows["layer"], rows["matrix_key"], strict=True)
    ]
    text = {name: rows[name].fillna("") for name in ("module", "view", "message", "status")}
    return rows.assign(matrix_key=keys, **text)


def _decays(shown: Shown, profile: pd.DataFrame, cells: pd.DataFrame) -> list[Figure]:
    values = cells["value"].where(profile["matrix_key"].ne("") & cells["block"].notna())
    if values.isna().all():
        values = cells["value"].where(profile["matrix_key"].ne(""))
    order = list(values.dropna().sort_values(kind="stable").index)
    ends = list(dict.fromkeys([*order[:ENDS], *order[-ENDS:]]))
    named = [(str(profile.loc[at, "layer"]), profile.loc[at].to_dict()) for at in ends]
    curves = layer.curves(shown.client.store, named)
    if not curves:
        return []
    overlaid = [decay.overlaid_decays(curves, decay.Axes(normalised=True))]
    return [*overlaid, one(shown, *named[0])] if len(curves) > 1 else [one(shown, *named[0])]


def one(shown: Shown, name: str, row: dict[str, Any]) -> Figure:
    """Return one layer's decay with the lines that its page draws at first."""
    store, wanted = shown.client.store, decay.DEFAULT_OVERLAYS
    [curve] = layer.curves(store, [(name, row)])
    singular = layer.singular_values(store, row)
    seed = layer.seed_of(pd.DataFrame([shown.job]))
    norm = float(np.linalg.norm(singular))
    return decay.one_decay(
        curve,
        layer.baselines(store, row, wanted, seed, norm),
        decay.marks(row, wanted, {ENERGY: layer.energy_rank(singular, ENERGY)}),
        decay.Axes(),
        [said for said in decay.missing(row, wanted) if quantities.known(row.get("stable_rank"))],
    )
