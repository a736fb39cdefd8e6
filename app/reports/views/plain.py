"""A view without a file of its own: bars of its first columns, by layer."""

from app.plots import bars, metric
from app.plots.figure import Figure
from app.shown import Shown, numeric, of_the_model

MOST = 2  # figures


def figures(shown: Shown) -> list[Figure]:
    """Return bars of the columns that come first on the job's page."""
    shared = of_the_model(shown.rows, shown.columns)
    titles = {name: metric.title_of(column) for name, column in shown.columns.items()}
    first = numeric(shown, without=shared)[:MOST]
    return [bars.by_layer(shown.rows, name, titles[name]) for name in first]
