"""The numbers of a figure as a table in long form, for a file that other programs read."""

import numpy as np
import pandas as pd

from app.plots.figure import Axis, Cells, Figure, Mark, Series

OF_SERIES = ("series", "kind", "x", "x_end", "name", "y", "lower", "upper")
OPTIONAL = ("x_end", "name")  # columns that few figures have something for
OF_CELLS = ("row", "column", "value", "text")


def table(figure: Figure) -> pd.DataFrame:
    """Return all numbers of a figure.

    Curves: a row for each point, `lower` and `upper` being the ends of its whisker or (`upper`) of
    its band; bins reach from `x` to `x_end`; `name` is the category at `x`; a straight line across
    (kind "mark") has one of x and y. Maps: a row for each cell that says something.
    """
    if figure.cells is not None:
        return _of_cells(figure, figure.cells)
    parts = [_of_series(series, figure.x) for series in figure.series]
    parts += [_of_mark(mark) for mark in figure.marks]
    found = pd.concat([_typed({}), *parts], ignore_index=True)
    return found.drop(columns=[name for name in OPTIONAL if found[name].isna().all()])


def as_csv(figure: Figure) -> bytes:
    """Return the table as a CSV file whose numbers read back exactly."""
    return table(figure).to_csv(index=False, lineterminator="\n").encode()


def _of_series(series: Series, axis: Axis) -> pd.DataFrame:
    x = np.asarray(series.x, float)
    bins = series.kind == "steps"
    start = x[:-1] if bins else x
    return _typed({
        "series": [series.name] * len(start),
        "kind": [series.kind] * len(start),
        "x": start,
        "x_end": x[1:] if bins else np.full(len(start), np.nan),
        "name": [_name(at, axis) for at in start],
        "y": series.y,
        **{
            end: np.full(len(start), np.nan) if values is None else values
            for end, values in (("lower", series.lower), ("upper", series.upper))
        },
    })  # fmt: skip


def _of_mark(mark: Mark) -> pd.DataFrame:
    return _typed({"series": [mark.text], "kind": ["mark"], mark.axis: [mark.at]})


def _typed(columns: dict[str, object]) -> pd.DataFrame:
    """Return a table of all columns, so that no part changes the type of another."""
    found = pd.DataFrame(columns, columns=list(OF_SERIES))
    words = dict.fromkeys(("series", "kind", "name"), "object")
    return found.astype(dict.fromkeys(("x", "x_end", "y", "lower", "upper"), "float64") | words)


def _name(at: float, axis: Axis) -> str | None:
    """Return the category that stands at a place of a named axis."""
    if not (axis.names and at.is_integer() and 0 <= at < len(axis.names)):
        return None
    return axis.names[int(at)]


def _of_cells(figure: Figure, cells: Cells) -> pd.DataFrame:
    rows, columns = cells.colour.shape
    down, across = _all_names(figure.y, rows), _all_names(figure.x, columns)
    said = [
        (down[row], across[column], cells.colour[row, column], str(cells.text[row, column]))
        for row, column in np.ndindex(rows, columns)
        if np.isfinite(cells.colour[row, column]) or cells.text[row, column]
    ]
    found = pd.DataFrame(said, columns=list(OF_CELLS)).astype({"value": "float64"})
    return found.assign(value=np.exp2(found["value"])) if cells.scale.log2 else found


def _all_names(axis: Axis, count: int) -> list[str]:
    """Return a name for each row or column, with its place (from 0) where names are not enough."""
    names = axis.names[:count]
    if len(set(names)) == count:
        return list(names)
    return [f"{names[at]} ({at})" if at < len(names) else str(at) for at in range(count)]
