"""The Hessian: the eigenvalues of the first layer, or of the whole model, then all layers."""

from app.plots import hessian as plots
from app.plots.figure import Figure
from app.shown import Shown

COLUMNS = ("layer", "method", "parameters", "rank", "rank_low", "rank_high", "significant",
           "trace", "bound")  # fmt: skip


def figures(shown: Shown) -> list[Figure]:
    """Return the first layer's eigenvalues or density, the largest, and bars of all layers."""
    rows = plots.measured(shown.rows)
    if rows.empty:
        return []
    row = plots.plain(rows.iloc[0].to_dict())
    name, found = str(row["layer"]), []
    if row["eigenvalues"] is not None:
        found.append(plots.by_index(row, name))
    elif row["density"] is not None:
        found.append(plots.density(row, name))
    if row["top_eigenvalues"] is not None and len(row["top_eigenvalues"]):
        found.append(plots.largest(row, name))
    if len(rows) > 1:
        found.append(plots.by_layer(rows, next(iter(plots.BY_LAYER))))
    return found
