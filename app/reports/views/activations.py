"""Activations: the inputs by depth, the cache by head, the first layer's spectra."""

from app.plots import activations as plots
from app.plots.figure import Figure
from app.shown import Shown

COLUMNS = ("layer", "head", "input_dimension", "input_effective_rank", "output_dimension",
           "tokens", "note")  # fmt: skip


def figures(shown: Shown) -> list[Figure]:
    """Return what the page draws at first."""
    rows = plots.measured(shown.rows)
    if rows.empty:
        return []
    rows = rows.assign(name=plots.names_of(rows))
    layers = plots.whole(rows)
    row = rows.iloc[0].to_dict()
    inputs = layers.loc[layers["layer"].eq(row["layer"]), "input_values"].iloc[0]
    found = [
        plots.by_depth(rows, "input", "dimension", share=False),
        plots.cache_map(rows, "95"),
        plots.spectra(row["name"], row, inputs),
        plots.acts(row["name"], row, inputs),
    ]
    return [figure for figure in found if figure is not None]
